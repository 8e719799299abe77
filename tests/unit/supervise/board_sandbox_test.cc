// Proves that a board's additions are read strictly, and what a task is given from them.
#include "firmware/supervise/board_sandbox.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/supervise/file_rules.h"

namespace keyward::supervise {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

BoardSandboxResult parse(const std::string& text) { return parse_board_sandbox(text, "test"); }

TEST(BoardSandbox_Additions, AreGivenToTheirTask) {
  const auto result = parse(
      "format = 1\nrequire = [\"uid\", \"network\"]\n"
      "[[allow]]\ntask = \"signer\"\nread = [\"/opt/hsm\"]\nwrite = [\"/dev/hsm\"]\n"
      "calls = [\"shmget\"]\nnetwork = true\nwhy = \"the vendor's module\"\n");
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_THAT(result.sandbox.of("signer").read, ElementsAre("/opt/hsm"));
  EXPECT_THAT(result.sandbox.of("signer").write, ElementsAre("/dev/hsm"));
  EXPECT_THAT(result.sandbox.of("store").read, IsEmpty());
  EXPECT_TRUE(result.sandbox.network("signer"));
  EXPECT_FALSE(result.sandbox.network("store"));
  EXPECT_THAT(result.sandbox.section("signer"), HasSubstr("require = [\"uid\"]"));
  EXPECT_THAT(result.sandbox.section("store"), HasSubstr("require = [\"uid\", \"network\"]"));
}

TEST(BoardSandbox_AdditionWithoutReason, IsRefused) {
  EXPECT_THAT(parse("format = 1\n[[allow]]\ntask = \"signer\"\nread = [\"/opt\"]\n").problems,
              Not(IsEmpty()));
  EXPECT_THAT(parse("format = 1\n[[allow]]\ntask = \"signer\"\nwhy = \"\"\n").problems,
              Contains(HasSubstr("no reason")));
}

TEST(BoardSandbox_UnknownTask, IsRefused) {
  EXPECT_THAT(parse("format = 1\n[[allow]]\ntask = \"sinner\"\nwhy = \"x\"\n").problems,
              ElementsAre("'sinner' is no task"));
}

TEST(BoardSandbox_UnknownLayer, IsRefused) {
  EXPECT_THAT(parse("format = 1\nrequire = [\"prayer\"]\n").problems,
              ElementsAre("'prayer' is no layer of isolation"));
}

TEST(BoardSandbox_CallOfTheKillList, IsRefused) {
  EXPECT_THAT(parse("format = 1\n[[allow]]\ntask = \"signer\"\nwhy = \"x\"\ncalls = [\"execve\"]\n")
                  .problems,
              ElementsAre("'execve' is on the kill list"));
}

TEST(BoardSandbox_RelativePathOrRoot, IsRefused) {
  const auto result = parse(
      "format = 1\n[[allow]]\ntask = \"signer\"\nwhy = \"x\"\nread = [\"opt\"]\nwrite = [\"/\"]\n");
  EXPECT_THAT(result.problems,
              ElementsAre("'opt' is no absolute path below /", "'/' is no absolute path below /"));
}

TEST(BoardSandbox_FileOfTheSimulator, IsAccepted) {
  const char* source = std::getenv("KEYWARD_SOURCE");
  ASSERT_NE(source, nullptr);
  EXPECT_THAT(load_board_sandbox(std::string(source) + "/board/sim/sandbox.toml").problems,
              IsEmpty());
}

TEST(FileRules_NamedPaths, AreFoundInTexts) {
  EXPECT_THAT(named_paths("a = \"/x/y\"\nb = [\"swtpm:path=/run/s\", 'C=/etc/c', \"no/path\"]\n"),
              ElementsAre("/x/y", "/run/s", "/etc/c"));
}

TEST(FileRules_Configuration, OpensFoldersOfFilesButNotOthersStates) {
  char name[] = "/tmp/keyward-rules-XXXXXX";
  const std::string root = ::mkdtemp(name);
  std::filesystem::create_directories(root + "/state/platform");
  std::filesystem::create_directories(root + "/ca");
  std::ofstream(root + "/ca/chain.pem") << "x";
  Installation installation;
  installation.state_root = root + "/state";
  const auto rules = file_rules(installation, "signer", "/bin/x",
                                "a = \"" + root + "/ca/chain.pem\"\nb = \"" + root +
                                    "/state/platform/pin\"\nc = \"" + root + "/state\"\n");
  EXPECT_THAT(rules.read, Contains(root + "/ca"));
  EXPECT_THAT(rules.read, Contains(root + "/state/platform/pin"));
  EXPECT_THAT(rules.read, Not(Contains(root + "/state/platform")));
  EXPECT_THAT(rules.read, Not(Contains(root + "/state")));
  EXPECT_THAT(rules.read, Not(Contains(root)));
  EXPECT_THAT(rules.write, Contains(root + "/state/signer"));
  EXPECT_FALSE(rules.tcp);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace keyward::supervise
