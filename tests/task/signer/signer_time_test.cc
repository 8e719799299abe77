// The real signer whose clock nobody vouches for, and whose HSM's module never answers.
#include <gtest/gtest.h>
#include <unistd.h>

#include "hal/trusted_time.h"
#include "tests/support/signer_stage/signer_stage.h"

namespace keyward::test {
namespace {

using wire::TaskId;

class SignerOf : public ::testing::Test {
 protected:
  task::Answer<wire::CertificateIssueReply> issue(SignerStage& stage, const std::string& name) {
    const auto made = stage.call(TaskId::kAcme, client_.new_order({dns(name)}));
    EXPECT_TRUE(made) << made.error().code;
    EXPECT_TRUE(stage.prove(client_, dns(name)));
    return stage.call(TaskId::kAcme, client_.finalize(*made, make_csr(key_, {dns(name)})));
  }
  TestClient client_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
};

TEST_F(SignerOf, ClockBelowItsLevel_RefusedForNow_IssuesOnceItIsReached) {
  SignerStage stage("time_level = \"rtc\"\n");
  stage.time_level() = static_cast<std::uint64_t>(hal::TimeLevel::kFloor);
  stage.start("degraded");
  const auto made = stage.call(TaskId::kAcme, client_.new_order({dns("a.example")}));
  ASSERT_TRUE(made) << made.error().code;
  ASSERT_TRUE(stage.prove(client_, dns("a.example")));
  const auto finalize = client_.finalize(*made, make_csr(key_, {dns("a.example")}));
  // The token logs in meanwhile: the clock is asked about last.
  const auto deadline = Deadline::after_ms(20'000);
  auto answer = stage.call(TaskId::kAcme, finalize);
  while (!answer && answer.error().code == "hsm-away" && !deadline.passed()) {
    ::usleep(50'000);
    answer = stage.call(TaskId::kAcme, finalize);
  }
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "clock-unset");
  EXPECT_EQ(answer.error().kind, wire::FailureKind::kUnavailable);
  EXPECT_EQ(stage.ledger().intents, 0u) << "an intent although the clock is not trusted";
  stage.time_level() = static_cast<std::uint64_t>(hal::TimeLevel::kRtc);
  ASSERT_TRUE(stage.wait_state("operational"));
  const auto given = stage.call(TaskId::kAcme, finalize);
  EXPECT_TRUE(given) << given.error().code;
}

TEST_F(SignerOf, ModuleNeverAnswers_EndsItselfAndTheNextProcessIssues) {
  SignerStage stage("", "stuck_exit_s = 2\n");
  stage.start();
  ASSERT_TRUE(issue(stage, "a.example"));
  stage.shim().stall(ShimCall::kGetSlotList);  // the way back to the token
  stage.shim().fail(ShimCall::kSign, 1, 1, 0x30);
  const auto lost = issue(stage, "b.example");
  EXPECT_FALSE(lost);
  EXPECT_EQ(stage.wait_exit(), 1);
  EXPECT_NE(stage.log().find("calls are stuck"), std::string::npos);
  stage.shim().resume(ShimCall::kGetSlotList);
  stage.start();
  EXPECT_TRUE(issue(stage, "c.example"));
}

}  // namespace
}  // namespace keyward::test
