// The simulator's first day: up, a web server's certificate by a stock client, down, up again,
// several side by side, and what an interruption leaves. OpenSSL is the judge of what came out.
#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "firmware/json/json.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/command/command.h"
#include "tests/support/simulator/simulator.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kStopped = 3;

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = Deadline::after_ms(30'000);
  while (!deadline.passed()) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return condition();
}

std::string text_of_file(const std::string& path) {
  return read_text_file(path, 1u << 20).value_or("");
}

// lego for one name over http-01, with everything below `work`.
CommandResult lego(const Simulator& simulator, const std::string& work, const std::string& name) {
  ::setenv("LEGO_CA_CERTIFICATES", simulator.env("KEYWARD_CA_FILE").c_str(), 1);
  return run_command({"lego", "--path", work, "--server", simulator.env("KEYWARD_DIRECTORY"),
                      "--accept-tos", "--email", "op@plant.example", "--domains", name, "--http",
                      "--http.port", "127.0.0.1:" + simulator.env("KEYWARD_HTTP01_PORT"), "run"});
}

CommandResult ledger(const Simulator& simulator, std::vector<std::string> words) {
  words.insert(words.begin() + 2, simulator.dir() + "/state/signer/ledger");
  words.insert(words.begin(), keyward_binary("keywardctl"));
  return run_command(words);
}

int keeper_pid(const Simulator& simulator) {
  int pid = 0;
  std::string word, equals;
  std::ifstream in(simulator.dir() + "/run/keeper.toml");
  in >> word >> equals >> pid;
  return pid;
}

TEST(FirstDay, UpDownUp_KeepsKeysPortAndLedger) {
  Simulator simulator({"--host", "www.plant.example=127.0.0.1"});
  ASSERT_TRUE(simulator.started()) << simulator.output();
  const auto status = simulator.run({"status"});
  EXPECT_EQ(status.status, 0) << status.output;
  for (const char* task : {"acme", "store", "validation", "attestation", "signer", "platform"})
    EXPECT_THAT(status.output, HasSubstr(task));
  const auto root = text_of_file(simulator.env("KEYWARD_CA_FILE"));
  EXPECT_THAT(root, HasSubstr("BEGIN CERTIFICATE"));

  EXPECT_EQ(simulator.run({"down"}).status, 0);
  EXPECT_EQ(simulator.run({"status"}).status, kStopped);
  EXPECT_EQ(simulator.run({"down"}).status, 0);  // twice is no error
  EXPECT_FALSE(fs::is_empty(simulator.dir() + "/backup/tokens"));

  const auto again = simulator.run({"up"});
  ASSERT_EQ(again.status, 0) << again.output;
  EXPECT_THAT(again.output, Not(HasSubstr("first use")));
  EXPECT_EQ(text_of_file(simulator.env("KEYWARD_CA_FILE")), root);
  EXPECT_THAT(simulator.run({"env"}).output, HasSubstr(simulator.env("KEYWARD_DIRECTORY")));
  EXPECT_EQ(simulator.run({"up"}).status, 0);  // twice is no error
}

TEST(FirstDay, LegoOverHttp01_GetsACertificateThatTheLedgerHolds) {
  if (!has_command("lego")) GTEST_SKIP() << "lego is not installed (tools/deps/install)";
  const TempDir work;
  Simulator simulator(
      {"--host", "www.plant.example=127.0.0.1", "--host", "www.elsewhere.example=127.0.0.1"});
  ASSERT_TRUE(simulator.started()) << simulator.output();

  const auto got = lego(simulator, work.path("lego"), "www.plant.example");
  ASSERT_EQ(got.status, 0) << got.output;
  const auto certificate = work.path("lego") + "/certificates/www.plant.example.crt";
  const auto verified = run_command({"openssl", "verify", "-x509_strict", "-CAfile",
                                     simulator.env("KEYWARD_CA_FILE"), "-untrusted", certificate,
                                     "-verify_hostname", "www.plant.example", certificate});
  EXPECT_EQ(verified.status, 0) << verified.output;
  auto serial = run_command({"openssl", "x509", "-in", certificate, "-noout", "-serial"}).output;
  serial = serial.substr(serial.find('=') + 1);
  serial.erase(serial.find_last_not_of('\n') + 1);
  const auto shown = ledger(simulator, {"ledger", "show", "--serial", serial});
  EXPECT_EQ(shown.status, 0) << shown.output;
  EXPECT_THAT(shown.output, HasSubstr("http-01"));

  // Control of a name outside the installation's trees is no right to a certificate.
  const auto refused = lego(simulator, work.path("lego2"), "www.elsewhere.example");
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.output, HasSubstr("rejectedIdentifier"));
  // Nor is a name in them that does not answer with the account's key authorization.
  const auto nowhere = lego(simulator, work.path("lego3"), "nowhere.plant.example");
  EXPECT_NE(nowhere.status, 0);

  const auto checked =
      ledger(simulator, {"ledger", "verify", "--issuer", simulator.dir() + "/ca/issuing.pem"});
  EXPECT_EQ(checked.status, 0) << checked.output;
}

TEST(FirstDay, TwoSideBySide_HavePortsAndKeysOfTheirOwn) {
  Simulator one;
  Simulator two;
  ASSERT_TRUE(one.started()) << one.output();
  ASSERT_TRUE(two.started()) << two.output();
  EXPECT_NE(one.env("KEYWARD_DIRECTORY"), two.env("KEYWARD_DIRECTORY"));
  EXPECT_NE(text_of_file(one.env("KEYWARD_CA_FILE")), text_of_file(two.env("KEYWARD_CA_FILE")));
  EXPECT_EQ(one.run({"status"}).status, 0);
  EXPECT_EQ(two.run({"status"}).status, 0);
}

TEST(FirstDay, WholeSimulatorKilled_ComesUpAgainAndLeavesNoProcess) {
  Simulator simulator;
  ASSERT_TRUE(simulator.started()) << simulator.output();
  const int signer = simulator.pid_of("signer");
  const int keeper = keeper_pid(simulator);
  ASSERT_GT(signer, 0);
  ASSERT_GT(keeper, 0);
  ASSERT_EQ(::kill(keeper, SIGKILL), 0);
  EXPECT_TRUE(eventually([&] { return simulator.run({"status"}).status == kStopped; }));
  // Ended, even if nobody has fetched its exit code yet.
  EXPECT_TRUE(eventually([&] {
    const auto stat = text_of_file("/proc/" + std::to_string(signer) + "/stat");
    return stat.empty() || stat.find(") Z ") != std::string::npos;
  }));
  const auto again = simulator.run({"up"});
  EXPECT_EQ(again.status, 0) << again.output;
}

TEST(FirstDay, TokenLostToAPowerCut_IsPutBackFromTheCopy) {
  Simulator simulator;
  ASSERT_TRUE(simulator.started()) << simulator.output();
  ASSERT_EQ(simulator.run({"down"}).status, 0);
  int emptied = 0;
  for (const auto& entry :
       fs::recursive_directory_iterator(simulator.dir() + "/state/signer/tokens")) {
    if (entry.path().filename() != "token.object") continue;
    fs::resize_file(entry.path(), 0);
    ++emptied;
  }
  ASSERT_EQ(emptied, 1);
  const auto again = simulator.run({"up"});
  EXPECT_EQ(again.status, 0) << again.output;
  EXPECT_THAT(again.output, HasSubstr("put back from the copy"));
}

TEST(FirstDay, WrongOptions_SayWhatIsWrong) {
  Simulator simulator;
  ASSERT_TRUE(simulator.started()) << simulator.output();
  ASSERT_EQ(simulator.run({"down"}).status, 0);
  const auto late = simulator.run({"up", "--permit", "other.example"});
  EXPECT_NE(late.status, 0);
  EXPECT_THAT(late.output, HasSubstr("name constraints cannot change"));
  EXPECT_NE(simulator.run({"device", "../escape"}).status, 0);
  EXPECT_NE(simulator.run({"destroy"}).status, 0);
  EXPECT_TRUE(fs::exists(simulator.dir() + "/ca/root.pem"));
  EXPECT_EQ(simulator.run({"destroy", "--yes"}).status, 0);
  EXPECT_FALSE(fs::exists(simulator.dir()));
}

}  // namespace
}  // namespace keyward::test
