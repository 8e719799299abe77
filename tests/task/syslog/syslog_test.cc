// Proves keyward-syslog as a process against a TLS receiver: every line arrives in order, over ends of
// either side; a receiver that is not the configured one gets nothing.
#include <chrono>
#include <set>

#include <gtest/gtest.h>

#include "firmware/syslog/position.h"
#include "firmware/syslog/spool_writer.h"
#include "firmware/task/task.h"
#include "tests/support/command/command.h"
#include "tests/support/task_process/task_process.h"
#include "tests/task/syslog/receiver.h"

namespace keyward {
namespace {

using test::run_command;
using wire::TaskId;

// The spool's number in a message, 0 for a report of a loss.
std::uint64_t number_of(const std::string& message) {
  if (message.find(" - loss [") != std::string::npos) return 0;
  const auto at = message.find(" number=\"");
  return at == std::string::npos ? 0 : std::stoull(message.substr(at + 9));
}

std::set<std::uint64_t> numbers(const std::vector<std::string>& messages) {
  std::set<std::uint64_t> out;
  for (const auto& message : messages) out.insert(number_of(message));
  out.erase(0);
  return out;
}

class SyslogTask : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::has_command("openssl")) GTEST_SKIP() << "no openssl";
    for (const std::string name : {"receiver", "stranger", "client"})
      make_certificate(name, "DNS:log.example,IP:127.0.0.1");
    make_certificate("misnamed", "DNS:other.example");
    open_spool(16u << 20);
  }
  std::string path(const std::string& name) const { return dir_.path(name); }
  void make_certificate(const std::string& name, const std::string& names) {
    const auto made = run_command({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                   "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                                   "/CN=127.0.0.1", "-addext", "subjectAltName=" + names, "-keyout",
                                   path(name + ".key"), "-out", path(name + ".pem")});
    ASSERT_EQ(made.status, 0) << made.output;
  }
  void open_spool(std::uint64_t bytes_max) {
    auto opened = syslog::SpoolWriter::open({path("spool"), bytes_max, {}}, 1'700'000'000'000);
    ASSERT_TRUE(opened);
    spool_ = std::move(*opened);
  }
  void lines(int count) {
    for (int i = 0; i < count; ++i)
      spool_->line("acme",
                   "ts=x level=info task=acme msg=\"line " + std::to_string(++written_) + "\"",
                   1'700'000'000'000);
  }
  std::string config(const std::string& roots, const std::string& more = "") const {
    return "state_dir = \"" + dir_.root() + "\"\nspool_dir = \"" + path("spool") +
           "\"\nserver = \"127.0.0.1:" + std::to_string(receiver_.port()) + "\"\nroots = \"" +
           path(roots) + "\"\n" + more + "[appliance]\nnames = [\"ca.example\"]\n";
  }
  void start(const std::string& text) {
    process_ = std::make_unique<test::TaskProcess>();
    ASSERT_TRUE(process_->start("keyward-syslog", TaskId::kSyslog, text, {}, path("log")));
    ASSERT_TRUE(process_->wait_ready());
  }
  test::ReceiverOptions as(const std::string& name) const {
    return {path(name + ".pem"), path(name + ".key"), "", 0};
  }
  std::vector<std::string> wait_for(std::uint64_t count) {
    return receiver_.wait([&](const auto& all) { return numbers(all).size() >= count; });
  }
  test::TempDir dir_;
  test::Receiver receiver_;
  std::unique_ptr<syslog::SpoolWriter> spool_;
  std::unique_ptr<test::TaskProcess> process_;
  int written_ = 0;
};

TEST_F(SyslogTask, Lines_ArriveOnceInOrderAndThePositionIsKept) {
  receiver_.start(as("receiver"));
  lines(5);
  start(config("receiver.pem"));
  wait_for(5);
  lines(500);
  const auto got = wait_for(505);
  ASSERT_EQ(got.size(), 505U);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(number_of(got[i]), i + 1);
  EXPECT_EQ(got[4].substr(0, 59), "<134>1 2023-11-14T22:13:20.000Z ca.example keyward-acme - l");
  EXPECT_TRUE(got[4].ends_with(" line 5")) << got[4];
  EXPECT_EQ(receiver_.problem(), "");
  process_->send_stop();
  EXPECT_EQ(process_->wait_exit(), 0);
  EXPECT_EQ(syslog::load_position(path("position")).number, 505U);
  EXPECT_EQ(receiver_.handshakes(), 1);
}

TEST_F(SyslogTask, ReceiverThatDiesAgainAndAgain_MissesNothing) {
  constexpr std::uint64_t kLines = 4'000;
  auto options = as("receiver");
  options.die_after = 1'000;
  receiver_.start(options);
  lines(kLines / 2);
  start(config("receiver.pem"));
  wait_for(500);
  receiver_.stop();
  lines(kLines / 2);
  receiver_.start(as("receiver"));
  wait_for(1'500);
  receiver_.start(as("receiver"));
  EXPECT_TRUE(receiver_.wait_handshakes(3)) << "it comes again, also with nothing new to say";
  const auto got = wait_for(kLines);
  const auto all = numbers(got);
  EXPECT_EQ(all.size(), kLines);
  EXPECT_EQ(*all.rbegin(), kLines);
  // In order, but for what is sent again: a number is never new and below one that came before.
  std::uint64_t highest = 0;
  for (const auto& message : got) {
    EXPECT_LE(number_of(message), highest + 1);
    highest = std::max(highest, number_of(message));
    EXPECT_EQ(message.find("loss"), std::string::npos);
  }
}

TEST_F(SyslogTask, TaskThatIsKilled_GoesOnWhereItMust) {
  receiver_.start(as("receiver"));
  lines(300);
  start(config("receiver.pem"));
  wait_for(300);
  process_->kill_now();
  lines(300);
  start(config("receiver.pem"));
  EXPECT_EQ(numbers(wait_for(600)).size(), 600U);
}

TEST_F(SyslogTask, SpoolAtItsBound_DropsTheOldestAndSaysSo) {
  open_spool(64u << 10);
  receiver_.start(as("receiver"));
  lines(1);
  start(config("receiver.pem"));
  wait_for(1);
  process_->send_stop();
  EXPECT_EQ(process_->wait_exit(), 0);
  receiver_.stop();
  lines(5'000);
  start(config("receiver.pem"));
  receiver_.start(as("receiver"));
  const auto got = receiver_.wait(
      [](const auto& all) { return !all.empty() && number_of(all.back()) == 5'001; });
  ASSERT_GT(got.size(), 2U);
  const auto& said = got[1];
  const auto first = number_of(got[2]);
  EXPECT_GT(first, 3'000U);
  EXPECT_NE(said.find("keyward-syslog - loss ["), std::string::npos) << said;
  EXPECT_NE(said.find("first=\"2\" last=\"" + std::to_string(first - 1) + "\" count=\"" +
                      std::to_string(first - 2) + "\""),
            std::string::npos)
      << said;
  EXPECT_EQ(process_->wait_metric("keyward_syslog_lines_lost_total", "", 1),
            static_cast<std::int64_t>(first - 2));
}

TEST_F(SyslogTask, ReceiverWithAnotherCertificate_GetsNothingAndTheLinesStay) {
  lines(3);
  for (const std::string name : {"stranger", "misnamed"}) {
    receiver_.start(as(name));
    start(config(name == "stranger" ? "receiver.pem" : "misnamed.pem"));
    const auto before = receiver_.refused();
    for (int i = 0; i < 200 && receiver_.refused() == before; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_GT(receiver_.refused(), before);
    EXPECT_GE(process_->wait_metric("keyward_syslog_spool_bytes", "", 1), 1);
    process_->send_stop();
    EXPECT_EQ(process_->wait_exit(), 0);
    EXPECT_NE(test::log_text(path("log")).find("the receiver's certificate"), std::string::npos);
    EXPECT_EQ(receiver_.count(), 0U);
  }
  receiver_.start(as("receiver"));
  start(config("receiver.pem"));
  EXPECT_EQ(wait_for(3).size(), 3U);
}

TEST_F(SyslogTask, NameOfTheReceiver_IsTheConfiguredOne) {
  lines(1);
  receiver_.start(as("misnamed"));
  start(config("misnamed.pem", "server_name = \"other.example\"\n"));
  EXPECT_EQ(wait_for(1).size(), 1U);
}

TEST_F(SyslogTask, ReceiverThatAsksForACertificate_GetsTheConfiguredOne) {
  lines(1);
  auto options = as("receiver");
  options.client_roots_path = path("client.pem");
  receiver_.start(options);
  start(config("receiver.pem", "tls_chain = \"" + path("client.pem") + "\"\ntls_key = \"" +
                                   path("client.key") + "\"\n"));
  EXPECT_EQ(wait_for(1).size(), 1U);
}

TEST_F(SyslogTask, ConfigurationThatIsWrong_EndsWithItsCode) {
  const std::string good = config("receiver.pem");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string out = good;
    return out.replace(out.find(from), from.size(), to);
  };
  const std::string port = ":" + std::to_string(receiver_.port());
  for (const std::string& text :
       {changed("receiver.pem", "missing.pem"), changed("receiver.pem", "receiver.key"),
        changed(port, ":0"), changed(port, ":65536"), changed("127.0.0.1:", "[127.0.0.1:"),
        config("receiver.pem", "facility = \"kern\"\n"), config("receiver.pem", "wrong = 1\n"),
        config("receiver.pem", "tls_chain = \"" + path("client.pem") + "\"\n"),
        config("receiver.pem", "tls_chain = \"" + path("client.pem") + "\"\ntls_key = \"" +
                                   path("receiver.key") + "\"\n")}) {
    test::TaskProcess process;
    ASSERT_TRUE(process.start("keyward-syslog", TaskId::kSyslog, text, {}, path("log")));
    EXPECT_EQ(process.wait_exit(), task::kExitConfig) << text;
  }
}

}  // namespace
}  // namespace keyward
