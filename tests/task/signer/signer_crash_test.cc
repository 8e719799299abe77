// Tests of the signer's end at the worst moment: kill -9 between intent and outcome, and after it.
// What was answered is in the ledger, what was begun is closed as abandoned, and no serial stands
// twice.
#include <set>

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/signer_stage/signer_stage.h"

namespace keyward::test {
namespace {

using wire::TaskId;

class SignerCrash : public ::testing::Test {
 protected:
  SignerCrash() { stage_.start(); }
  wire::CertificateIssue request_for(const std::string& name) {
    const auto made = stage_.call(TaskId::kAcme, client_.new_order({dns(name)}));
    EXPECT_TRUE(made) << made.error().code;
    EXPECT_TRUE(stage_.prove(client_, dns(name)));
    return client_.finalize(*made, make_csr(key_, {dns(name)}));
  }
  // Sends it and waits until the module holds the signature: the intent is on disk, the outcome is
  // not.
  void hang_in_signature(const wire::CertificateIssue& request) {
    stage_.shim().stall(ShimCall::kSign);
    stage_.send(TaskId::kAcme, wire::encode_frame(stage_.next_id(), request));
    const auto deadline = Deadline::after_ms(20'000);
    while (stage_.shim().waiting(ShimCall::kSign) == 0) {
      ASSERT_FALSE(deadline.passed());
      ::usleep(1'000);
    }
    ASSERT_EQ(stage_.ledger().open_intents.size(), 1u);
  }
  // read_ledger refuses a serial that stands twice; this says how many there are.
  std::set<Bytes> serials() const {
    std::set<Bytes> out;
    EXPECT_TRUE(
        issue::read_ledger(stage_.ledger_directory(),
                           [&](const issue::LedgerRow& row, const issue::RowPlace&) -> Status {
                             if (row.intent && !out.insert(row.intent->serial).second)
                               ADD_FAILURE() << "a serial twice";
                             return {};
                           }));
    return out;
  }

  SignerStage stage_;
  TestClient client_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
};

TEST_F(SignerCrash, KilledBetweenIntentAndOutcome_AbandonedThenIssuedAnew) {
  const auto request = request_for("crash.example");
  hang_in_signature(request);
  const auto begun = serials();
  stage_.kill();
  stage_.shim().resume(ShimCall::kSign);
  stage_.start();
  auto ledger = stage_.ledger();
  EXPECT_TRUE(ledger.open_intents.empty());
  EXPECT_EQ(ledger.abandoned, 1u);
  EXPECT_EQ(ledger.issued, 0u);
  const auto reply = stage_.call(TaskId::kAcme, request);  // the front end asks again, by itself
  ASSERT_TRUE(reply) << reply.error().code;
  EXPECT_FALSE(reply->replayed);
  EXPECT_FALSE(begun.contains(reply->serial));
  EXPECT_EQ(serials().size(), 2u);
  EXPECT_EQ(stage_.ledger().issued, 1u);
}

TEST_F(SignerCrash, KilledAfterTheAnswer_TheAnswerIsInTheLedger) {
  const auto request = request_for("answered.example");
  const auto first = stage_.call(TaskId::kAcme, request);
  ASSERT_TRUE(first) << first.error().code;
  stage_.kill();
  stage_.start();
  EXPECT_EQ(stage_.ledger().issued, 1u);
  const auto again = stage_.call(TaskId::kAcme, request);
  ASSERT_TRUE(again) << again.error().code;
  EXPECT_TRUE(again->replayed);
  EXPECT_EQ(again->chain, first->chain);
}

// Whatever was answered before a kill at any moment is in the ledger, and nothing is in it twice.
TEST_F(SignerCrash, KilledAgainAndAgainUnderLoad_NothingAnsweredIsMissing) {
  std::set<Bytes> answered;
  for (int round = 0; round < 6; ++round) {
    std::vector<wire::CertificateIssue> requests;
    for (int i = 0; i < 10; ++i)
      requests.push_back(
          request_for("r" + std::to_string(round) + "-" + std::to_string(i) + ".example"));
    for (const auto& request : requests)
      stage_.send(TaskId::kAcme, wire::encode_frame(stage_.next_id(), request));
    for (int i = 0; i < round; ++i) {  // a different moment each time
      const auto reply = stage_.receive<wire::CertificateIssueReply>(TaskId::kAcme);
      ASSERT_TRUE(reply) << reply.error().code;
      answered.insert(reply->serial);
    }
    stage_.kill();
    stage_.start();
    for (const auto& request : requests) {
      const auto reply = stage_.call(TaskId::kAcme, request);
      ASSERT_TRUE(reply) << reply.error().code;
      answered.insert(reply->serial);
    }
  }
  EXPECT_EQ(answered.size(), 60u);  // one per order: what was answered once is answered again
  const auto known = serials();
  for (const auto& serial : answered) EXPECT_TRUE(known.contains(serial));
  EXPECT_EQ(stage_.ledger().issued, 60u);
  EXPECT_TRUE(stage_.ledger().open_intents.empty());
}

TEST_F(SignerCrash, StoppedInOrder_ExitsZeroAndLeavesNothingOpen) {
  ASSERT_TRUE(stage_.call(TaskId::kAcme, request_for("stop.example")));
  EXPECT_EQ(stage_.stop(), 0);
  EXPECT_TRUE(stage_.ledger().open_intents.empty());
}

// The HSM stops answering for longer than a signature may take: the order waits, and goes on later.
TEST_F(SignerCrash, HsmAnswersTooLate_HsmAwayThenIssued) {
  const auto request = request_for("late.example");
  hang_in_signature(request);
  const auto refused = stage_.receive<wire::CertificateIssueReply>(TaskId::kAcme);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "hsm-away");
  EXPECT_TRUE(refused.error().retry_after_ms.has_value());
  EXPECT_EQ(stage_.ledger().failed, 1u);
  stage_.shim().resume(ShimCall::kSign);
  const auto deadline = Deadline::after_ms(30'000);
  while (true) {
    const auto reply = stage_.call(TaskId::kAcme, request);
    if (reply) break;
    ASSERT_EQ(reply.error().code, "hsm-away");
    ASSERT_FALSE(deadline.passed());
    ::usleep(100'000);
  }
  EXPECT_EQ(stage_.ledger().issued, 1u);
}

}  // namespace
}  // namespace keyward::test
