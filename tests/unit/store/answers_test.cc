// What a client answered stands in the store while it is judged, and not a moment longer; and the
// tenants of accounts, orders and authorizations.
#include "firmware/store/schema.h"
#include "firmware/store/sqlite.h"
#include "tests/unit/store/fixture.h"

namespace keyward::store {
namespace {

using wire::ChallengeStatus;
using wire::OrderStatus;

class AnswersTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    add_account("alice");
    add_order("alice", "t1", 2);
  }
  Answer<wire::ChallengeUpdateReply> put_answer(const std::string& id, Bytes answer) {
    wire::ChallengeUpdate update{
        id, ChallengeStatus::kPending, ChallengeStatus::kProcessing, {}, {}, {}};
    update.answer = std::move(answer);
    return store_->challenge_update(update);
  }
  std::optional<Bytes> answer_of(const std::string& authz_id, std::size_t challenge = 0) {
    const auto reply = store_->authz_get({authz_id, "alice"});
    EXPECT_TRUE(reply && reply->authz);
    return reply->authz->challenges.at(challenge).answer;
  }
  // Whether any row of the file still holds one.
  std::int64_t kept() {
    auto file = Connection::open(database(), Connection::Mode::kReadOnly);
    EXPECT_TRUE(file);
    const auto count =
        file->prepare_one("SELECT count(*) FROM challenges WHERE answer IS NOT NULL");
    EXPECT_TRUE(count);
    std::int64_t rows = -1;
    {
      Query query(*file, *count);
      EXPECT_TRUE(query.next());
      rows = query.integer(0);
    }
    file->forget_statements();
    return rows;
  }
};

TEST_F(AnswersTest, ChallengeUpdate_Answer_IsKeptAcrossRestarts) {
  const auto put = put_answer("t1-a0-c0", Bytes{1, 2, 3});
  ASSERT_TRUE(put && put->applied);
  EXPECT_FALSE(put->authz->challenges[0].answer);  // its sender has it
  reopen();
  EXPECT_EQ(answer_of("t1-a0"), (Bytes{1, 2, 3}));
  EXPECT_FALSE(answer_of("t1-a0", 1));
}

TEST_F(AnswersTest, ChallengeUpdate_Decided_ForgetsTheAnswer) {
  ASSERT_TRUE(put_answer("t1-a0-c0", Bytes(9, 7))->applied);
  ASSERT_TRUE(put_answer("t1-a1-c0", Bytes(9, 7))->applied);
  challenge("t1-a0-c0", ChallengeStatus::kProcessing, ChallengeStatus::kValid);
  EXPECT_FALSE(answer_of("t1-a0"));
  EXPECT_TRUE(answer_of("t1-a1"));
  challenge("t1-a1-c0", ChallengeStatus::kProcessing, ChallengeStatus::kInvalid);
  EXPECT_EQ(kept(), 0);
}

TEST_F(AnswersTest, ChallengeUpdate_AnotherOfTheOrderFails_ForgetsTheAnswer) {
  ASSERT_TRUE(put_answer("t1-a0-c0", Bytes(9, 7))->applied);
  challenge("t1-a1-c0", ChallengeStatus::kPending, ChallengeStatus::kInvalid);
  EXPECT_EQ(kept(), 0);
}

TEST_F(AnswersTest, ChallengeUpdate_AnotherProvesTheSame_ForgetsTheAnswer) {
  ASSERT_TRUE(put_answer("t1-a0-c0", Bytes(9, 7))->applied);
  challenge("t1-a0-c1", ChallengeStatus::kPending, ChallengeStatus::kValid);
  EXPECT_EQ(kept(), 0);
}

TEST_F(AnswersTest, AuthzUpdate_Deactivated_ForgetsTheAnswersOfItsOrder) {
  ASSERT_TRUE(put_answer("t1-a0-c0", Bytes(9, 7))->applied);
  ASSERT_TRUE(put_answer("t1-a1-c0", Bytes(9, 7))->applied);
  ASSERT_TRUE(store_->authz_update({"t1-a0", "alice", wire::AuthzStatus::kDeactivated}));
  EXPECT_EQ(kept(), 0);
}

TEST_F(AnswersTest, AccountUpdate_Deactivated_ForgetsTheAnswers) {
  ASSERT_TRUE(put_answer("t1-a0-c0", Bytes(9, 7))->applied);
  wire::AccountUpdate update;
  update.id = "alice";
  update.status = wire::AccountStatus::kDeactivated;
  ASSERT_TRUE(store_->account_update(update));
  EXPECT_EQ(kept(), 0);
}

TEST_F(AnswersTest, OrderUpdate_Invalid_ForgetsTheAnswers) {
  ASSERT_TRUE(put_answer("t1-a0-c0", Bytes(9, 7))->applied);
  ASSERT_TRUE(move("t1", OrderStatus::kPending, OrderStatus::kInvalid)->applied);
  EXPECT_EQ(kept(), 0);
}

TEST_F(AnswersTest, Sweep_AnswerWhoseTimePassed_IsForgottenLongBeforeItsOrder) {
  ASSERT_TRUE(put_answer("t1-a0-c0", Bytes(9, 7))->applied);
  ASSERT_TRUE(store_->sweep());
  EXPECT_EQ(kept(), 1);
  clock_.now_ms += kDayMs;
  ASSERT_TRUE(store_->sweep());
  ASSERT_TRUE(store_->flush());
  EXPECT_EQ(kept(), 0);
  EXPECT_EQ(order_status("t1"), OrderStatus::kInvalid);
}

TEST_F(AnswersTest, ChallengeUpdate_SecondAnswerOfAnAuthorization_IsRefused) {
  ASSERT_TRUE(put_answer("t1-a0-c0", Bytes(9, 7))->applied);
  EXPECT_EQ(code_of(put_answer("t1-a0-c1", Bytes(9, 8))), "edge-not-allowed");
}

TEST_F(AnswersTest, ChallengeUpdate_AnswerThatIsNotProcessing_IsRefused) {
  wire::ChallengeUpdate update{
      "t1-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kValid, kNowMs, {}, {}};
  update.answer = Bytes(9, 7);
  EXPECT_EQ(code_of(store_->challenge_update(update)), "record-malformed");
}

TEST_F(AnswersTest, ChallengeUpdate_LargestAnswer_FitsAFrameWithItsAuthorization) {
  ASSERT_TRUE(put_answer("t1-a0-c0", Bytes(limits::kEvidenceBytesMax, 7))->applied);
  const auto reply = store_->authz_get({"t1-a0", "alice"});
  ASSERT_TRUE(reply);
  EXPECT_LT(wire::encode_body(*reply).size() + 1'024, limits::kFrameBytesMax);
}

TEST_F(AnswersTest, ChallengeUpdate_AnswerThatDoesNotFitBesideItsAuthorization_IsRefused) {
  auto put = order("alice", "t2");
  auto& challenges = put.authorizations[0].challenges;
  challenges.resize(1);
  for (int i = 0; i < 8; ++i) {
    auto copy = challenges[0];
    copy.id = "t2-a0-c" + std::to_string(i);
    copy.data_json = std::string(limits::kChallengeDataBytesMax, ' ');
    if (i == 0) challenges.clear();
    challenges.push_back(copy);
  }
  ASSERT_TRUE(store_->order_put(put));
  EXPECT_EQ(code_of(put_answer("t2-a0-c0", Bytes(limits::kEvidenceBytesMax, 7))),
            "record-malformed");
  EXPECT_TRUE(put_answer("t2-a0-c0", Bytes(1'024, 7))->applied);
}

TEST_F(AnswersTest, OrderPut_ChallengeWithAnswer_IsRefused) {
  auto put = order("alice", "t2");
  put.authorizations[0].challenges[0].answer = Bytes(1, 1);
  EXPECT_EQ(code_of(store_->order_put(put)), "record-malformed");
}

TEST_F(AnswersTest, ChallengeUpdate_StoreNearlyFull_TakesNoAnswer) {
  reopen({.directory = {}, .bytes_max = 1 << 20, .reserve_bytes = 1LL << 60});
  ASSERT_TRUE(store_->sweep());
  ASSERT_TRUE(store_->filling());
  EXPECT_EQ(code_of(put_answer("t1-a0-c0", Bytes(9, 7))), "store-full");
  EXPECT_TRUE(
      challenge("t1-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kProcessing).applied);
}

TEST_F(AnswersTest, Tenants_AreKeptWhereTheyWereSaid) {
  auto bob = account("bob");
  bob.tenant = "customer";
  ASSERT_TRUE(store_->account_put({bob}));
  auto put = order("bob", "t9", 2);
  put.order.tenant = "vendor";
  put.authorizations[0].tenant = "vendor";
  ASSERT_TRUE(store_->order_put(put));
  reopen();
  EXPECT_EQ(store_->account_get({.id = "bob", .thumbprint = {}})->account->tenant, "customer");
  EXPECT_FALSE(store_->account_get({.id = "alice", .thumbprint = {}})->account->tenant);
  EXPECT_EQ(store_->order_get({"t9", "bob"})->order->tenant, "vendor");
  EXPECT_EQ(store_->authz_get({"t9-a0", "bob"})->authz->tenant, "vendor");
  EXPECT_FALSE(store_->authz_get({"t9-a1", "bob"})->authz->tenant);
}

}  // namespace
}  // namespace keyward::store
