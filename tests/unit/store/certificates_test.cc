// Certificates by serial: found, marked as revoked, replaced.
#include "tests/unit/store/fixture.h"

namespace keyward::store {
namespace {

using wire::AuthzStatus;
using wire::ChallengeStatus;
using wire::OrderStatus;

class CertificatesTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    add_account("alice");
    add_account("bob");
    add_order("alice", "t1");
    issue("t1");
  }
  static Bytes serial(const std::string& ticket) { return certificate("alice", ticket).serial; }
  // RFC 9773 §4.1; the part before the dot is acme's to check.
  static std::string id_of(const std::string& ticket) {
    return "aYhba4dGQEHhs3uEe6CuLN4ByNQ." + base64url_encode(serial(ticket));
  }
  static wire::OrderPut replacing(const std::string& ticket, const std::string& replaced) {
    auto put = order("alice", ticket);
    put.order.replaces = id_of(replaced);
    return put;
  }
  std::optional<wire::CertificateRecord> find(const std::string& ticket) {
    const auto reply = store_->certificate_find({serial(ticket)});
    EXPECT_TRUE(reply);
    return reply ? reply->certificate : std::nullopt;
  }
};

TEST_F(CertificatesTest, Find_BySerial_WhoeverItBelongsTo) {
  add_order("bob", "b1");
  issue("b1", "bob");
  const auto found = find("b1");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, "cert-b1");
  EXPECT_EQ(found->account_id, "bob");
  EXPECT_EQ(found->ticket, "b1");
  EXPECT_EQ(found->chain, certificate("bob", "b1").chain);
  EXPECT_FALSE(found->revoked_at_ms || found->revocation_reason || found->replaced_by);
  EXPECT_FALSE(store_->certificate_find({Bytes{1, 2, 3}})->certificate);
  EXPECT_EQ(code_of(store_->certificate_find({Bytes{}})), "record-malformed");
}

TEST_F(CertificatesTest, Find_SerialOfTwo_TheFirstStandsAndBothAreMarked) {
  add_order("bob", "b1");
  prove("b1");
  ASSERT_TRUE(move("b1", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  wire::OrderUpdate update{"b1", OrderStatus::kProcessing, OrderStatus::kValid, {}, {}, {}, {}};
  update.certificate = certificate("bob", "b1");
  update.certificate->serial = serial("t1");
  ASSERT_TRUE(store_->order_update(update)->applied);
  EXPECT_EQ(find("t1")->account_id, "alice");
  ASSERT_TRUE(store_->certificate_mark({serial("t1"), kNowMs, {}})->applied);
  EXPECT_TRUE(store_->certificate_get({"cert-b1", "bob"})->certificate->revoked_at_ms);
}

TEST_F(CertificatesTest, Mark_Once_IsAppliedAndShown) {
  const auto before = store_->syncs();
  EXPECT_TRUE(store_->certificate_mark({serial("t1"), kNowMs + 5, 4})->applied);
  EXPECT_GT(store_->syncs(), before);  // promised
  EXPECT_EQ(find("t1")->revoked_at_ms, kNowMs + 5);
  EXPECT_EQ(find("t1")->revocation_reason, 4u);
  EXPECT_EQ(store_->certificate_get({"cert-t1", "alice"})->certificate->revoked_at_ms, kNowMs + 5);
  EXPECT_FALSE(store_->certificate_mark({serial("t1"), kNowMs + 9, 1})->applied);
  EXPECT_EQ(find("t1")->revoked_at_ms, kNowMs + 5);
  EXPECT_EQ(find("t1")->revocation_reason, 4u);
}

TEST_F(CertificatesTest, Mark_UnknownOrMalformed_ChangesNothing) {
  EXPECT_FALSE(store_->certificate_mark({Bytes{1, 2, 3}, kNowMs, {}})->applied);
  EXPECT_EQ(code_of(store_->certificate_mark({Bytes{}, kNowMs, {}})), "record-malformed");
  EXPECT_EQ(code_of(store_->certificate_mark({serial("t1"), kNowMs, 11})), "record-malformed");
  EXPECT_TRUE(store_->certificate_mark({serial("t1"), kNowMs, {}})->applied);
  EXPECT_FALSE(find("t1")->revocation_reason);
}

TEST_F(CertificatesTest, OrderUpdate_CertificateWithAPast_IsRefused) {
  add_order("alice", "t2");
  prove("t2");
  ASSERT_TRUE(move("t2", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  const auto refused = [&](auto change) {
    wire::OrderUpdate update{"t2", OrderStatus::kProcessing, OrderStatus::kValid, {}, {}, {}, {}};
    update.certificate = certificate("alice", "t2");
    change(*update.certificate);
    return code_of(store_->order_update(update));
  };
  EXPECT_EQ(refused([](auto& c) { c.revoked_at_ms = kNowMs; }), "record-malformed");
  EXPECT_EQ(refused([](auto& c) { c.revocation_reason = 1; }), "record-malformed");
  EXPECT_EQ(refused([](auto& c) { c.replaced_by = "t9"; }), "record-malformed");
  EXPECT_EQ(refused([](auto&) {}), "answered");
}

TEST_F(CertificatesTest, Replaces_Known_IsKeptAndNamesTheOrder) {
  ASSERT_TRUE(store_->order_put(replacing("t2", "t1")));
  EXPECT_EQ(store_->order_get({"t2", "alice"})->order->replaces, id_of("t1"));
  EXPECT_EQ(find("t1")->replaced_by, "t2");
  issue("t2");
  EXPECT_EQ(find("t1")->replaced_by, "t2");
  EXPECT_FALSE(find("t2")->replaced_by);
}

TEST_F(CertificatesTest, Replaces_ASecondTime_IsRefusedAndLeavesNothing) {
  ASSERT_TRUE(store_->order_put(replacing("t2", "t1")));
  EXPECT_EQ(code_of(store_->order_put(replacing("t3", "t1"))), "already-replaced");
  EXPECT_FALSE(store_->order_get({"t3", "alice"})->order);
  issue("t2");
  EXPECT_EQ(code_of(store_->order_put(replacing("t3", "t1"))), "already-replaced");
  EXPECT_EQ(find("t1")->replaced_by, "t2");
  ASSERT_TRUE(store_->order_put(replacing("t4", "t2")));  // the next of the chain
}

TEST_F(CertificatesTest, Replaces_OfAnOrderThatBecameInvalid_IsFreeAgain) {
  ASSERT_TRUE(store_->order_put(replacing("t2", "t1")));
  ASSERT_TRUE(challenge("t2-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kInvalid).applied);
  EXPECT_FALSE(find("t1")->replaced_by);
  ASSERT_TRUE(store_->order_put(replacing("t3", "t1")));
  EXPECT_EQ(find("t1")->replaced_by, "t3");
  clock_.now_ms = kNowMs + kDayMs;  // t3 expires
  EXPECT_FALSE(find("t1")->replaced_by);
  auto later = replacing("t4", "t1");
  later.order.expires_at_ms = clock_.now_ms + kDayMs;
  ASSERT_TRUE(store_->order_put(later));
  EXPECT_EQ(find("t1")->replaced_by, "t4");
}

TEST_F(CertificatesTest, Replaces_UnknownOrNoId_IsRefused) {
  EXPECT_EQ(code_of(store_->order_put(replacing("t2", "nothing"))), "certificate-unknown");
  const auto refused = [&](const std::string& id) {
    auto put = order("alice", "t2");
    put.order.replaces = id;
    return code_of(store_->order_put(put));
  };
  EXPECT_EQ(refused(""), "record-malformed");
  EXPECT_EQ(refused("no-dot"), "record-malformed");
  EXPECT_EQ(refused("a."), "record-malformed");
  EXPECT_EQ(refused("a.AA=="), "record-malformed");
  EXPECT_EQ(refused("a." + base64url_encode(Bytes(21, 1))), "record-malformed");
  EXPECT_FALSE(store_->order_get({"t2", "alice"})->order);
}

TEST_F(CertificatesTest, Sweep_ReplacingOrders_FreeWhatCameToNothingAlone) {
  ASSERT_TRUE(store_->order_put(replacing("lost", "t1")));
  add_order("alice", "t2");
  issue("t2");
  ASSERT_TRUE(store_->order_put(replacing("made", "t2")));
  issue("made");
  clock_.now_ms = kNowMs + kDayMs + limits::kOrderRetentionMs;
  EXPECT_EQ(store_->sweep()->orders, 4);
  EXPECT_FALSE(find("t1")->replaced_by);
  EXPECT_EQ(find("t2")->replaced_by, "made");
  auto again = replacing("t5", "t2");
  again.order.expires_at_ms = clock_.now_ms + kDayMs;
  EXPECT_EQ(code_of(store_->order_put(again)), "already-replaced");
  again.order.replaces = id_of("t1");
  EXPECT_EQ(code_of(store_->order_put(again)), "answered");
}

}  // namespace
}  // namespace keyward::store
