// Account recoveries, and notices that wait for a relay.
#include <gmock/gmock.h>

#include "tests/unit/store/fixture.h"

namespace keyward::store {
namespace {

using ::testing::ElementsAre;
using wire::RecoveryStatus;

class RecoveriesTest : public StoreTest {
 protected:
  static wire::RecoveryRecord recovery(const std::string& id,
                                       const std::string& account_id = "alice") {
    wire::RecoveryRecord record;
    record.id = id;
    record.account_id = account_id;
    record.thumbprint = account("new").thumbprint;
    record.jwk = account("new").jwk;
    record.method = "contact";
    record.status = RecoveryStatus::kPending;
    record.created_at_ms = kNowMs;
    record.expires_at_ms = kNowMs + 4 * kDayMs;
    record.code_sha256 = Digest256{1};
    return record;
  }
  void put(const std::string& id, const std::string& account_id = "alice") {
    const auto put = store_->recovery_put({recovery(id, account_id)});
    ASSERT_TRUE(put) << put.error().code;
  }
  Answer<wire::RecoveryUpdateReply> move_to(const std::string& id, RecoveryStatus from,
                                            RecoveryStatus to) {
    wire::RecoveryUpdate update{id, from, to, {}, {}};
    if (to == RecoveryStatus::kProcessing) update.ready_at_ms = kNowMs + kDayMs;
    return store_->recovery_update(update);
  }
  std::vector<std::string> open_of(const std::string& account_id) {
    std::vector<std::string> ids;
    const auto reply = store_->recovery_get({{}, account_id});
    for (const auto& one : reply->recoveries) ids.push_back(one.id);
    return ids;
  }
  static wire::MailRecord mail(const std::string& id, std::int64_t due_at_ms = kNowMs) {
    return {id, "operator@plant.example", "Subject", "Text of " + id, kNowMs, due_at_ms, 0};
  }
  std::vector<std::string> taken() {
    std::vector<std::string> ids;
    const auto reply = store_->mail_take({});
    for (const auto& one : reply->mails) ids.push_back(one.id);
    return ids;
  }
};

TEST_F(RecoveriesTest, Put_ReadBack_IsTheSameAndOfNobodyAlike) {
  const auto before = store_->syncs();
  put("r1", "nobody");
  EXPECT_GT(store_->syncs(), before);  // promised
  reopen();
  const auto got = store_->recovery_get({"r1", {}});
  ASSERT_TRUE(got);
  ASSERT_EQ(got->recoveries.size(), 1u);
  const auto& record = got->recoveries[0];
  EXPECT_EQ(record.account_id, "nobody");
  EXPECT_EQ(record.thumbprint, account("new").thumbprint);
  EXPECT_EQ(record.jwk, account("new").jwk);
  EXPECT_EQ(record.method, "contact");
  EXPECT_EQ(record.expires_at_ms, kNowMs + 4 * kDayMs);
  EXPECT_EQ(record.code_sha256, Digest256{1});
  EXPECT_FALSE(record.veto_sha256);
  EXPECT_TRUE(store_->recovery_get({"r2", {}})->recoveries.empty());
  EXPECT_EQ(code_of(store_->recovery_get({})), "record-malformed");
  EXPECT_EQ(code_of(store_->recovery_get({"r1", "nobody"})), "record-malformed");
}

TEST_F(RecoveriesTest, Put_Contradicting_IsRefused) {
  const auto refused = [&](auto change) {
    auto record = recovery("r1");
    change(record);
    return code_of(store_->recovery_put({record}));
  };
  EXPECT_EQ(refused([](auto& r) { r.id.clear(); }), "record-malformed");
  EXPECT_EQ(refused([](auto& r) { r.account_id.clear(); }), "record-malformed");
  EXPECT_EQ(refused([](auto& r) { r.jwk.clear(); }), "record-malformed");
  EXPECT_EQ(refused([](auto& r) { r.status = RecoveryStatus::kProcessing; }), "record-malformed");
  EXPECT_EQ(refused([](auto& r) { r.expires_at_ms = kNowMs; }), "record-malformed");
  EXPECT_EQ(refused([](auto&) {}), "answered");
  EXPECT_EQ(refused([](auto&) {}), "row-exists");
}

TEST_F(RecoveriesTest, Put_TooManyOpen_IsRefusedUntilOneEnds) {
  for (std::size_t i = 0; i < limits::kRecoveriesPerAccountMax; ++i) put("r" + std::to_string(i));
  EXPECT_EQ(code_of(store_->recovery_put({recovery("more")})), "recovery-limit");
  put("b1", "bob");
  ASSERT_TRUE(move_to("r0", RecoveryStatus::kPending, RecoveryStatus::kInvalid)->applied);
  put("more");
  EXPECT_EQ(code_of(store_->recovery_put({recovery("again")})), "recovery-limit");
  clock_.now_ms = kNowMs + 4 * kDayMs;
  auto later = recovery("later");
  later.expires_at_ms = clock_.now_ms + 1;
  EXPECT_EQ(code_of(store_->recovery_put({later})), "answered");
}

TEST_F(RecoveriesTest, Put_TooManyInAll_IsRefused) {
  reopen({.directory = {}, .recoveries_max = 2});
  put("r1", "a");
  put("r2", "b");
  EXPECT_EQ(code_of(store_->recovery_put({recovery("r3", "c")})), "recovery-limit");
}

TEST_F(RecoveriesTest, PutOrMail_Filling_IsRefused) {
  reopen({.directory = {}, .reserve_bytes = std::int64_t{1} << 60});
  EXPECT_EQ(code_of(store_->recovery_put({recovery("r1")})), "store-full");
  EXPECT_EQ(code_of(store_->mail_put({mail("m1")})), "store-full");
}

TEST_F(RecoveriesTest, Update_EachEdge_IsComparedAndSet) {
  put("r1");
  EXPECT_FALSE(move_to("r1", RecoveryStatus::kProcessing, RecoveryStatus::kValid)->applied);
  const auto proved = move_to("r1", RecoveryStatus::kPending, RecoveryStatus::kProcessing);
  ASSERT_TRUE(proved && proved->applied);
  EXPECT_EQ(proved->recovery->ready_at_ms, kNowMs + kDayMs);
  EXPECT_FALSE(move_to("r1", RecoveryStatus::kPending, RecoveryStatus::kProcessing)->applied);
  EXPECT_THAT(open_of("alice"), ElementsAre("r1"));
  ASSERT_TRUE(move_to("r1", RecoveryStatus::kProcessing, RecoveryStatus::kValid)->applied);
  EXPECT_EQ(store_->recovery_get({"r1", {}})->recoveries[0].status, RecoveryStatus::kValid);
  EXPECT_EQ(store_->recovery_get({"r1", {}})->recoveries[0].ready_at_ms, kNowMs + kDayMs);
  EXPECT_TRUE(open_of("alice").empty());
  put("r2");
  wire::RecoveryUpdate veto{"r2", RecoveryStatus::kPending, RecoveryStatus::kInvalid, {}, "{}"};
  ASSERT_TRUE(store_->recovery_update(veto)->applied);
  EXPECT_EQ(store_->recovery_get({"r2", {}})->recoveries[0].error_json, "{}");
  const auto unknown = move_to("r3", RecoveryStatus::kPending, RecoveryStatus::kInvalid);
  EXPECT_FALSE(unknown->applied || unknown->recovery);
}

TEST_F(RecoveriesTest, Update_ImpossibleEdgeOrFields_AreRefused) {
  put("r1");
  EXPECT_EQ(code_of(move_to("r1", RecoveryStatus::kPending, RecoveryStatus::kValid)),
            "edge-not-allowed");
  EXPECT_EQ(code_of(move_to("r1", RecoveryStatus::kInvalid, RecoveryStatus::kProcessing)),
            "edge-not-allowed");
  const auto refused = [&](const wire::RecoveryUpdate& update) {
    return code_of(store_->recovery_update(update));
  };
  EXPECT_EQ(refused({"r1", RecoveryStatus::kPending, RecoveryStatus::kProcessing, {}, {}}),
            "record-malformed");
  EXPECT_EQ(refused({"r1", RecoveryStatus::kPending, RecoveryStatus::kInvalid, kNowMs, {}}),
            "record-malformed");
  EXPECT_EQ(refused({"r1", RecoveryStatus::kPending, RecoveryStatus::kProcessing, kNowMs, "{}"}),
            "record-malformed");
}

TEST_F(RecoveriesTest, Expiry_ReadsAsInvalidAndIsSweptLater) {
  put("r1");
  put("r2");
  ASSERT_TRUE(move_to("r2", RecoveryStatus::kPending, RecoveryStatus::kProcessing)->applied);
  clock_.now_ms = kNowMs + 4 * kDayMs;
  EXPECT_EQ(store_->recovery_get({"r1", {}})->recoveries[0].status, RecoveryStatus::kInvalid);
  EXPECT_TRUE(open_of("alice").empty());
  const auto late = move_to("r2", RecoveryStatus::kProcessing, RecoveryStatus::kValid);
  EXPECT_FALSE(late->applied);
  EXPECT_EQ(late->recovery->status, RecoveryStatus::kInvalid);
  clock_.now_ms = kNowMs + 4 * kDayMs + limits::kRecoveryRetentionMs - 1;
  EXPECT_EQ(store_->sweep()->recoveries, 0);
  clock_.now_ms = clock_.now_ms + 1;
  EXPECT_EQ(store_->sweep()->recoveries, 2);
  EXPECT_TRUE(store_->recovery_get({"r1", {}})->recoveries.empty());
}

TEST_F(RecoveriesTest, Mail_TakenOldestFirst_StaysUntilDone) {
  ASSERT_TRUE(store_->mail_put({mail("late", kNowMs + 1)}));
  ASSERT_TRUE(store_->mail_put({mail("second", kNowMs - 5)}));
  ASSERT_TRUE(store_->mail_put({mail("first", kNowMs - 9)}));
  EXPECT_THAT(taken(), ElementsAre("first", "second"));
  EXPECT_THAT(taken(), ElementsAre("first", "second"));  // sent at least once
  const auto got = store_->mail_take({})->mails[0];
  EXPECT_EQ(got.to, "operator@plant.example");
  EXPECT_EQ(got.subject, "Subject");
  EXPECT_EQ(got.text, "Text of first");
  EXPECT_EQ(got.attempts, 0u);
  ASSERT_TRUE(store_->mail_done({"first", {}}));
  ASSERT_TRUE(store_->mail_done({"second", kNowMs + 7}));
  EXPECT_TRUE(taken().empty());
  reopen();
  clock_.now_ms = kNowMs + 7;
  EXPECT_THAT(taken(), ElementsAre("late", "second"));
  EXPECT_EQ(store_->mail_take({})->mails[1].attempts, 1u);
  EXPECT_TRUE(store_->mail_done({"unknown", {}}));
}

TEST_F(RecoveriesTest, Mail_ManyDue_AreTakenSixteenAtATime) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(store_->mail_put({mail("m" + std::to_string(100 + i))}));
  EXPECT_EQ(taken().size(), 16u);
  for (const auto& id : taken()) ASSERT_TRUE(store_->mail_done({id, {}}));
  EXPECT_THAT(taken(), ElementsAre("m116", "m117", "m118", "m119"));
}

TEST_F(RecoveriesTest, Mail_LargestAllowed_FitsAFrame) {
  for (int i = 0; i < 16; ++i) {
    auto large = mail("m" + std::to_string(i) + std::string(100, 'i'));
    large.to = std::string(limits::kContactBytesMax, 'a');
    large.subject = std::string(limits::kMailSubjectBytesMax, 's');
    large.text = std::string(limits::kMailTextBytesMax, 't');
    ASSERT_TRUE(store_->mail_put({large}));
  }
  const auto reply = store_->mail_take({});
  ASSERT_EQ(reply->mails.size(), 16u);
  EXPECT_LT(wire::encode_body(*reply).size(), limits::kFrameBytesMax - 256);
}

TEST_F(RecoveriesTest, Mail_KnownIdFullQueueOrNoAddress_AddsNone) {
  reopen({.directory = {}, .mails_max = 2});
  ASSERT_TRUE(store_->mail_put({mail("m1")}));
  ASSERT_TRUE(store_->mail_put({mail("m1")}));  // kept once
  ASSERT_TRUE(store_->mail_put({mail("m2")}));
  EXPECT_EQ(code_of(store_->mail_put({mail("m3")})), "mail-limit");
  EXPECT_EQ(code_of(store_->mail_put({mail("m2")})), "answered");
  auto lost = mail("m4");
  lost.to.clear();
  EXPECT_EQ(code_of(store_->mail_put({lost})), "record-malformed");
  EXPECT_THAT(taken(), ElementsAre("m1", "m2"));
}

TEST_F(RecoveriesTest, Sweep_MailsThatHelpNobody_AreDeleted) {
  ASSERT_TRUE(store_->mail_put({mail("m1")}));
  clock_.now_ms = kNowMs + limits::kMailRetentionMs - 1;
  EXPECT_EQ(store_->sweep()->mails, 0);
  clock_.now_ms = kNowMs + limits::kMailRetentionMs;
  EXPECT_EQ(store_->sweep()->mails, 1);
  EXPECT_TRUE(taken().empty());
}

}  // namespace
}  // namespace keyward::store
