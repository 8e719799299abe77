// Proves which part of the installation file each task gets, and that it gets no other.
#include "firmware/supervise/installation.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/config/config.h"

namespace keyward::supervise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using wire::TaskId;

Graph shipped() {
  return load_graph(std::string(std::getenv("KEYWARD_SOURCE")) + "/apps/supervisor/tasks.toml")
      .graph;
}

const std::string kHead = "[supervisor]\nrun_dir = \"/r\"\nstate_root = \"/s\"\n";
const std::string kFull =
    kHead +
    "[appliance]\nbase_url = \"https://a:1\"\n[signer]\nkey_label = "
    "\"issuing\"\n[signer.budgets]\noverall_per_hour = 5\n"
    "[pkcs11]\nmodule = \"/m.so\"\n[tpm]\ntcti = \"swtpm\"\n[acme]\nlisten = \"a:1\"\n";

TEST(Installation_TaskText, HoldsOwnSectionsAndNoOthers) {
  auto result = parse_installation(kFull, "k", shipped());
  ASSERT_THAT(result.problems, IsEmpty());
  auto& configs = result.installation.task_configs;
  auto signer = config::Document::parse(configs[TaskId::kSigner], "signer");
  auto root = signer.root();
  EXPECT_EQ(root.string("state_dir"), "/s/signer");
  EXPECT_EQ(root.string("key_label"), "issuing");
  EXPECT_EQ(root.integer("budgets.overall_per_hour", 0, 10), 5);
  EXPECT_EQ(root.string("pkcs11.module"), "/m.so");
  EXPECT_EQ(root.string("appliance.base_url"), "https://a:1");
  EXPECT_THAT(signer.finish(), IsEmpty());
  EXPECT_THAT(configs[TaskId::kAcme], Not(HasSubstr("/m.so")));
  EXPECT_THAT(configs[TaskId::kAcme], Not(HasSubstr("tcti")));
  EXPECT_THAT(configs[TaskId::kSigner], Not(HasSubstr("tcti")));
  EXPECT_THAT(configs[TaskId::kPlatform], HasSubstr("tcti"));
}

TEST(Installation_TaskThatReadsTheSpool, GetsItsFolderAndNotTheRunDirectory) {
  const std::string section = "[syslog]\nserver = \"a\"\nroots = \"/x\"\n";
  auto with = parse_installation(kFull + section, "k", shipped());
  ASSERT_THAT(with.problems, IsEmpty());
  const auto& text = with.installation.task_configs[TaskId::kSyslog];
  EXPECT_THAT(text, HasSubstr("spool_dir = \"/s/spool\""));
  EXPECT_THAT(text, Not(HasSubstr("run_dir")));
  EXPECT_EQ(with.installation.spool_bytes_max, 64U << 20);
  EXPECT_THAT(parse_installation(kFull + "[syslog]\nspool_dir = \"/x\"\n", "k", shipped()).problems,
              ElementsAre(HasSubstr("syslog.spool_dir")));
  auto small = parse_installation(kHead + "spool_mib = 1\n" + kFull.substr(kHead.size()) + section,
                                  "k", shipped());
  EXPECT_EQ(small.installation.spool_bytes_max, 1U << 20);
  EXPECT_THAT(
      parse_installation(kHead + "spool_mib = 0\n" + kFull.substr(kHead.size()), "k", shipped())
          .problems,
      ElementsAre(HasSubstr("spool_mib")));
}

TEST(Installation_OptionalTask, IsLeftOutWithoutItsSectionAndSeesTheRunDirectoryWithIt) {
  auto without = parse_installation(kFull, "k", shipped());
  EXPECT_THAT(without.installation.left_out, ElementsAre(TaskId::kAdmin, TaskId::kSyslog));
  EXPECT_FALSE(without.installation.task_configs.contains(TaskId::kAdmin));
  auto with = parse_installation(kFull + "[admin]\nlisten = \"a:2\"\n", "k", shipped());
  ASSERT_THAT(with.problems, IsEmpty());
  EXPECT_THAT(with.installation.left_out, ElementsAre(TaskId::kSyslog));
  EXPECT_THAT(with.installation.task_configs[TaskId::kAdmin], HasSubstr("run_dir = \"/r\""));
  EXPECT_THAT(parse_installation(kFull + "[admin]\nrun_dir = \"/x\"\n", "k", shipped()).problems,
              ElementsAre(HasSubstr("admin.run_dir")));
  Graph graph = shipped();
  graph.leave_out(TaskId::kAdmin);
  EXPECT_EQ(graph.find(TaskId::kAdmin), nullptr);
  for (const auto& edge : graph.edges) EXPECT_NE(edge.from, TaskId::kAdmin);
}

TEST(Installation_TaskSectionAbsent, TaskStillHasItsStateDirectory) {
  auto result = parse_installation(kFull, "k", shipped());
  auto store = config::Document::parse(result.installation.task_configs[TaskId::kStore], "store");
  EXPECT_EQ(store.root().string("state_dir"), "/s/store");
}

TEST(Installation_UnknownSectionOrKey, IsRefused) {
  EXPECT_THAT(parse_installation(kHead + "[sotre]\na = 1\n", "k", shipped()).problems,
              Not(IsEmpty()));
  EXPECT_THAT(parse_installation(kHead + "rundir = \"/x\"\n", "k", shipped()).problems,
              ElementsAre(HasSubstr("rundir")));
}

TEST(Installation_RelativePath, IsRefused) {
  EXPECT_THAT(
      parse_installation("[supervisor]\nrun_dir = \"r\"\nstate_root = \"/s\"\n", "k", shipped())
          .problems,
      ElementsAre(HasSubstr("absolute")));
}

TEST(Installation_StateDirChosenByFile, IsRefused) {
  EXPECT_THAT(
      parse_installation(kHead + "[store]\nstate_dir = \"/elsewhere\"\n", "k", shipped()).problems,
      ElementsAre(HasSubstr("supervisor's to choose")));
}

TEST(Installation_EnvironmentWithoutValue, IsRefused) {
  EXPECT_THAT(
      parse_installation(kHead + "environment = [\"LD_PRELOAD\"]\n", "k", shipped()).problems,
      ElementsAre(HasSubstr("NAME=VALUE")));
}

}  // namespace
}  // namespace keyward::supervise
