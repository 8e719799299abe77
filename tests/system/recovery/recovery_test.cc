// Breaks a running appliance under a loop of enrolments: each task killed, the whole appliance
// killed between intent and outcome, the HSM gone and back. The loop must recover by itself, and no
// certificate may be given that the ledger lacks, no serial twice.
#include <fstream>

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include "hal/base/clock.h"
#include "tests/support/p11kit_server/p11kit_server.h"
#include "tests/support/pkcs11_shim/shim_state.h"
#include "tests/support/simulator/enrol_loop.h"

namespace keyward::test {
namespace {

constexpr int kClients = 3;
constexpr std::int64_t kRecoverMs = 60'000;
constexpr int kLookMs = 20;

template <class Condition>
bool wait_until(std::int64_t timeout_ms, Condition condition) {
  const auto deadline = Deadline::after_ms(timeout_ms);
  while (!condition()) {
    if (deadline.passed()) return false;
    ::poll(nullptr, 0, kLookMs);
  }
  return true;
}

class KillEachTask : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    simulator_ = new Simulator({"--quiet"});
    ASSERT_TRUE(simulator_->started()) << simulator_->output();
    loop_ = new EnrolLoop(*simulator_, kClients);
    ASSERT_TRUE(loop_->wait_for(kClients, kRecoverMs)) << loop_->last_failure();
  }
  static void TearDownTestSuite() {
    delete loop_;
    delete simulator_;
  }
  static void kill_and_expect_recovery(const std::string& task) {
    const int pid = simulator_->pid_of(task);
    ASSERT_GT(pid, 0);
    const int failed_before = loop_->failed();
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    EXPECT_TRUE(wait_until(kRecoverMs,
                           [&] {
                             const int now = simulator_->pid_of(task);
                             return now > 0 && now != pid && simulator_->state() == "operational";
                           }))
        << task << " was not started again: " << simulator_->run({"status"}).output;
    // Whatever was under way has ended one way or the other; from here on it must go on.
    const int enrolled = loop_->enrolled();
    EXPECT_TRUE(loop_->wait_for(enrolled + 5 * kClients, kRecoverMs)) << loop_->last_failure();
    std::cout << "[ MEASURED ] " << task << ": " << loop_->failed() - failed_before
              << " tries failed and were repeated\n";
  }
  static inline Simulator* simulator_ = nullptr;
  static inline EnrolLoop* loop_ = nullptr;
};

TEST_F(KillEachTask, Acme) { kill_and_expect_recovery("acme"); }
TEST_F(KillEachTask, Store) { kill_and_expect_recovery("store"); }
TEST_F(KillEachTask, Validation) { kill_and_expect_recovery("validation"); }
TEST_F(KillEachTask, Attestation) { kill_and_expect_recovery("attestation"); }
TEST_F(KillEachTask, Signer) { kill_and_expect_recovery("signer"); }
TEST_F(KillEachTask, Platform) { kill_and_expect_recovery("platform"); }
TEST_F(KillEachTask, ZzAfterAll_TheLedgerAgreesWithTheClients) {
  loop_->stop();
  EXPECT_GT(loop_->enrolled(), 6 * 5 * kClients);
  EXPECT_EQ(ledger_contradiction(*simulator_, loop_->serials()), "");
}

TEST(WholeApplianceKilled, BetweenIntentAndOutcome_IntentIsAbandonedAndEnrolmentsGoOn) {
  Simulator simulator({"--quiet"}, SimFolder::kPrivate);
  ASSERT_TRUE(simulator.started()) << simulator.output();
  ShimControl shim(simulator.dir() + "/shim.state");
  ASSERT_EQ(simulator.run({"down"}).status, 0);
  // The shim is steered over a file that the signer maps: what a vendor's module would have its
  // board say.
  const std::string sandbox = simulator.dir() + "/sandbox.toml";
  std::ofstream(sandbox) << "format = 1\n[[allow]]\ntask = \"signer\"\nwrite = [\"" << shim.path()
                         << "\"]\nwhy = \"the shim's state\"\n";
  const auto up = simulator.run(
      {"up", "--quiet", "--set", "supervisor.sandbox=\"" + sandbox + "\"", "--module",
       KEYWARD_SHIM_PATH, "--module-env", "KEYWARD_SHIM_MODULE=/usr/lib/softhsm/libsofthsm2.so",
       "--module-env", "KEYWARD_SHIM_STATE=" + shim.path(), "--module-env",
       "SOFTHSM2_CONF=" + simulator.dir() + "/state/signer/softhsm2.conf"});
  ASSERT_EQ(up.status, 0) << up.output;
  EnrolLoop loop(simulator, kClients);
  ASSERT_TRUE(loop.wait_for(kClients, kRecoverMs)) << loop.last_failure();

  shim.stall(ShimCall::kSign);  // the intent is on disk, the HSM is signing
  ASSERT_TRUE(wait_until(kRecoverMs, [&] { return shim.waiting(ShimCall::kSign) > 0; }));
  for (const char* task :
       {"supervisor", "acme", "store", "validation", "attestation", "signer", "platform"}) {
    const int pid = simulator.pid_of(task);
    if (pid > 0) ::kill(pid, SIGKILL);
  }
  shim.resume(ShimCall::kSign);
  (void)simulator.run({"down"});
  const auto again = simulator.run({"up", "--quiet"});
  ASSERT_EQ(again.status, 0) << again.output;

  const int enrolled = loop.enrolled();
  EXPECT_TRUE(loop.wait_for(enrolled + 5 * kClients, kRecoverMs)) << loop.last_failure();
  loop.stop();
  EXPECT_GE(ledger_count(simulator, "abandoned"), 1);
  EXPECT_EQ(ledger_contradiction(simulator, loop.serials()), "");
}

// Kills at moments that nothing chose: whatever is half done must come out right.
TEST(WholeApplianceKilled, AtAnyMoment_EnrolmentsGoOn) {
  Simulator simulator({"--quiet"});
  ASSERT_TRUE(simulator.started()) << simulator.output();
  EnrolLoop loop(simulator, kClients);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(loop.wait_for(loop.enrolled() + 3 * kClients + round, kRecoverMs))
        << loop.last_failure();
    ASSERT_EQ(::kill(simulator.pid_of("supervisor"), SIGKILL), 0);  // its tasks die with it
    (void)simulator.run({"down"});
    const auto up = simulator.run({"up", "--quiet"});
    ASSERT_EQ(up.status, 0) << up.output;
  }
  const int enrolled = loop.enrolled();
  EXPECT_TRUE(loop.wait_for(enrolled + 5 * kClients, kRecoverMs)) << loop.last_failure();
  loop.stop();
  EXPECT_EQ(ledger_contradiction(simulator, loop.serials()), "");
}

TEST(HsmGone, KilledUnderLoadAndBackTenSecondsLater_OrdersStayProcessingThenFinish) {
  Simulator simulator({"--quiet"}, SimFolder::kPrivate);
  ASSERT_TRUE(simulator.started()) << simulator.output();
  ASSERT_EQ(simulator.run({"down"}).status, 0);
  P11KitServer hsm("/usr/lib/softhsm/libsofthsm2.so", simulator.dir() + "/hsm.sock",
                   {{"SOFTHSM2_CONF", simulator.dir() + "/state/signer/softhsm2.conf"}});
  hsm.start();
  const auto up = simulator.run({"up", "--quiet", "--module", P11KitServer::client_module_path(),
                                 "--module-env", "P11_KIT_SERVER_ADDRESS=" + hsm.address()});
  ASSERT_EQ(up.status, 0) << up.output;
  EnrolLoop loop(simulator, kClients);
  ASSERT_TRUE(loop.wait_for(3 * kClients, kRecoverMs)) << loop.last_failure();

  const int failed_before = loop.failed();
  hsm.kill();
  const auto gone = Deadline::after_ms(10'000);
  ASSERT_TRUE(wait_until(10'000, [&] { return simulator.state() == "degraded"; }))
      << simulator.run({"status"}).output;
  const int enrolled_while_gone = loop.enrolled();
  wait_until(gone.remaining_ms(), [&] { return gone.passed(); });
  EXPECT_EQ(loop.enrolled(), enrolled_while_gone) << "a certificate without an HSM";
  hsm.start();
  const auto back = system_clock().monotonic_ms();
  // The very orders that were waiting finish: their clients poll, they do not order again.
  EXPECT_TRUE(loop.wait_for(enrolled_while_gone + kClients, kRecoverMs)) << loop.last_failure();
  std::cout << "[ MEASURED ] waiting orders finished " << system_clock().monotonic_ms() - back
            << " ms after the HSM's return\n";
  EXPECT_EQ(loop.failed(), failed_before)
      << "no client was told of an error: " << loop.last_failure();
  EXPECT_TRUE(loop.wait_for(enrolled_while_gone + 5 * kClients, kRecoverMs)) << loop.last_failure();
  loop.stop();
  EXPECT_EQ(ledger_contradiction(simulator, loop.serials()), "");
}

}  // namespace
}  // namespace keyward::test
