// A simulator's day as a remote receiver sees it: every line that the log has, in order, over restarts
// of the receiver; the ledger's rows among them; no secret in any of them.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>

#include "tests/support/command/command.h"
#include "tests/support/secret_scan/secret_scan.h"
#include "tests/support/simulator/enrol_loop.h"
#include "tests/support/simulator/simulator.h"
#include "tests/task/syslog/receiver.h"

namespace keyward::test {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kPatienceMs = 90'000;

std::uint64_t number_of(const std::string& message) {
  const auto at = message.find(" number=\"");
  return at == std::string::npos ? 0 : std::stoull(message.substr(at + 9));
}

std::string field_of(const std::string& message, const std::string& name) {
  const auto at = message.find(" " + name + "=\"");
  if (at == std::string::npos) return "";
  const auto from = at + name.size() + 3;
  return message.substr(from, message.find('"', from) - from);
}

class SyslogDay : public testing::Test {
 protected:
  void SetUp() override {
    const auto made = run_command({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                   "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                                   "/CN=log", "-addext", "subjectAltName=DNS:log.example",
                                   "-keyout", dir_.path("key.pem"), "-out", dir_.path("root.pem")});
    ASSERT_EQ(made.status, 0) << made.output;
    fs::permissions(dir_.root(), fs::perms::others_exec | fs::perms::others_read,
                    fs::perm_options::add);
    fs::permissions(dir_.path("root.pem"), fs::perms::others_read, fs::perm_options::add);
  }
  void receive() { receiver_.start({dir_.path("root.pem"), dir_.path("key.pem"), "", 0}); }
  TempDir dir_;
  Receiver receiver_;
};

TEST_F(SyslogDay, EveryLineOfTheLog_ArrivesInOrderAndWithoutSecrets) {
  receive();
  const std::string q = "\"";
  Simulator sim({"--quiet", "--set",
                 "syslog.server=" + q + "localhost:" + std::to_string(receiver_.port()) + q,
                 "--set", "syslog.server_name=" + q + "log.example" + q, "--set",
                 "syslog.roots=" + q + dir_.path("root.pem") + q, "--set",
                 "syslog.hostname=" + q + "unit.example" + q});
  ASSERT_TRUE(sim.started()) << sim.output();
  EnrolLoop enrolments(sim, 2);
  ASSERT_TRUE(enrolments.wait_for(2, kPatienceMs)) << enrolments.last_failure();
  receiver_.stop();
  ASSERT_TRUE(enrolments.wait_for(5, kPatienceMs)) << enrolments.last_failure();
  receive();
  const int sender = sim.pid_of("syslog");
  ASSERT_GT(sender, 0);
  ASSERT_EQ(::kill(sender, SIGKILL), 0);
  ASSERT_TRUE(enrolments.wait_for(8, kPatienceMs)) << enrolments.last_failure();
  enrolments.stop();
  const auto issued = static_cast<std::size_t>(enrolments.enrolled());
  SecretScan scan;
  EXPECT_GT(scan.gather(sim.dir()), 0U);
  const auto rows_of = [](const auto& all) {
    std::set<std::string> rows;
    for (const auto& message : all)
      if (message.find(" - ledger [") != std::string::npos) rows.insert(field_of(message, "row"));
    return rows;
  };
  receiver_.wait([&](const auto& all) { return rows_of(all).size() > 2 * issued; });
  EXPECT_EQ(sim.run({"down"}).status, 0);
  const auto got = receiver_.wait([](const auto&) { return true; });

  // Each number is there, and none before the one below it; what was sent again aside.
  std::uint64_t highest = 0;
  for (const auto& message : got) {
    EXPECT_EQ(message.find(" - loss ["), std::string::npos) << message;
    EXPECT_NE(message.find(" unit.example keyward-"), std::string::npos) << message;
    EXPECT_LE(number_of(message), highest + 1) << message;
    highest = std::max(highest, number_of(message));
  }
  // The log has the same lines, and the few after the task's end.
  std::ifstream log(sim.dir() + "/run/log");
  std::uint64_t lines = 0;
  for (std::string line; std::getline(log, line);) ++lines;
  EXPECT_GE(lines, highest);
  EXPECT_LE(lines, highest + 8) << "of " << highest;
  EXPECT_GT(rows_of(got).size(), 2 * issued);
  EXPECT_GE(receiver_.handshakes(), 2);
  std::string all;
  for (const auto& message : got) all += message + "\n";
  const auto findings = scan.in_text("syslog", all);
  EXPECT_TRUE(findings.empty()) << findings[0];
}

}  // namespace
}  // namespace keyward::test
