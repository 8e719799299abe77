// Authorizations that serve several orders, or were begun without one.
#include <gmock/gmock.h>

#include "tests/unit/store/fixture.h"

namespace keyward::store {
namespace {

using ::testing::ElementsAre;
using wire::AccountStatus;
using wire::AuthzStatus;
using wire::ChallengeStatus;
using wire::IdentifierType;
using wire::OrderStatus;

const wire::Identifier kHost0{IdentifierType::kDns, "host0.plant.example"};

class ReuseTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    add_account("alice");
    add_account("bob");
  }
  void put(const wire::OrderPut& order) {
    const auto put = store_->order_put(order);
    ASSERT_TRUE(put) << put.error().code << " " << put.error().detail;
  }
  void put_alone(const wire::AuthzRecord& authz) {
    const auto put = store_->authz_put({authz});
    ASSERT_TRUE(put) << put.error().code << " " << put.error().detail;
  }
  wire::ChallengeUpdateReply prove_until(const std::string& challenge_id,
                                         std::int64_t expires_at_ms) {
    const auto reply =
        store_->challenge_update({challenge_id, ChallengeStatus::kPending, ChallengeStatus::kValid,
                                  kNowMs, std::nullopt, expires_at_ms});
    EXPECT_TRUE(reply && reply->applied);
    return reply ? *reply : wire::ChallengeUpdateReply{};
  }
  // A valid authorization of alice without an order, for 30 days.
  void prove_alone(const std::string& id, const std::string& name, bool subtree = false,
                   bool wildcard = false, std::int64_t days = 30) {
    auto authz = lone_authz("alice", id, name);
    authz.subtree = subtree;
    authz.wildcard = wildcard;
    put_alone(authz);
    prove_until(id + "-c0", kNowMs + days * kDayMs);
  }
  std::vector<std::string> found(std::vector<wire::Identifier> identifiers,
                                 const std::string& account_id = "alice") {
    std::vector<std::string> ids;
    const auto reply = store_->authz_find({account_id, std::move(identifiers)});
    EXPECT_TRUE(reply);
    if (!reply) return ids;
    for (const auto& authz : reply->authorizations) ids.push_back(authz.id);
    return ids;
  }
  static wire::Identifier dns(const std::string& name) { return {IdentifierType::kDns, name}; }
};

TEST_F(ReuseTest, AuthzPut_ReadBack_IsTheSameAndBelongsToNoOrder) {
  auto authz = lone_authz("alice", "z1", "pump.plant.example");
  authz.subtree = true;
  authz.challenges[1].method = wire::ValidationMethod::kDnsPersist01;
  authz.challenges[1].token.clear();
  authz.challenges[1].data_json = R"({"issuerDomainNames":["ca.example"]})";
  put_alone(authz);
  const auto got = store_->authz_get({"z1", "alice"});
  ASSERT_TRUE(got && got->authz);
  EXPECT_EQ(got->authz->ticket, "");
  EXPECT_EQ(got->authz->account_id, "alice");
  EXPECT_TRUE(got->authz->subtree);
  EXPECT_EQ(got->authz->challenges[1].token, "");
  EXPECT_EQ(got->authz->challenges[1].data_json, authz.challenges[1].data_json);
  EXPECT_FALSE(got->authz->challenges[0].data_json);
  EXPECT_FALSE(store_->authz_get({"z1", "bob"})->authz);
  add_order("alice", "t1");  // takes another number
  EXPECT_THAT(store_->order_get({"t1", "alice"})->authz_ids, ElementsAre("t1-a0"));
  reopen();
  add_order("alice", "t2");
  EXPECT_THAT(store_->order_get({"t2", "alice"})->authz_ids, ElementsAre("t2-a0"));
}

TEST_F(ReuseTest, AuthzPut_ContradictingRecords_AreRefused) {
  const auto refused = [&](auto change) {
    auto authz = lone_authz("alice", "z1", "pump.plant.example");
    change(authz);
    return code_of(store_->authz_put({authz}));
  };
  EXPECT_EQ(refused([](auto& z) { z.ticket = "t1"; }), "record-malformed");
  EXPECT_EQ(refused([](auto& z) { z.status = AuthzStatus::kValid; }), "record-malformed");
  EXPECT_EQ(refused([](auto& z) { z.status = AuthzStatus::kInvalid; }), "record-malformed");
  EXPECT_EQ(refused([](auto& z) { z.expires_at_ms = kNowMs; }), "record-malformed");
  EXPECT_EQ(refused([](auto& z) { z.challenges.clear(); }), "record-malformed");
  EXPECT_EQ(refused([](auto& z) { z.challenges[0].token.clear(); }), "record-malformed");
  EXPECT_EQ(refused([](auto& z) { z.challenges[0].authz_id = "z2"; }), "record-malformed");
  EXPECT_EQ(refused([](auto& z) { z.identifier.type = IdentifierType::kPermanentIdentifier; }),
            "record-malformed");
  EXPECT_EQ(refused([](auto& z) { z.identifier.type = IdentifierType::kTnAuthList; }),
            "record-malformed");
  EXPECT_EQ(refused([](auto& z) { z.account_id = "nobody"; }), "account-unknown");
  EXPECT_EQ(refused([](auto&) {}), "answered");
  EXPECT_EQ(refused([](auto&) {}), "row-exists");
  ASSERT_TRUE(store_->account_update({"alice", {}, AccountStatus::kRevoked, {}}));
  EXPECT_EQ(code_of(store_->authz_put({lone_authz("alice", "z3", "b.example")})),
            "account-not-valid");
}

TEST_F(ReuseTest, AuthzPut_OverTheLimit_IsRefusedUntilOneExpires) {
  reopen({.directory = {}, .open_authz_per_account_max = 2});
  put_alone(lone_authz("alice", "z1", "a.example"));
  put_alone(lone_authz("alice", "z2", "b.example"));
  EXPECT_EQ(code_of(store_->authz_put({lone_authz("alice", "z3", "c.example")})), "authz-limit");
  put_alone(lone_authz("bob", "b1", "a.example"));
  clock_.now_ms = kNowMs + kDayMs;
  auto later = lone_authz("alice", "z3", "c.example");
  later.expires_at_ms += kDayMs;
  EXPECT_EQ(code_of(store_->authz_put({later})), "answered");
}

TEST_F(ReuseTest, AuthzPut_Filling_IsRefused) {
  reopen({.directory = {}, .reserve_bytes = std::int64_t{1} << 60});
  EXPECT_EQ(code_of(store_->authz_put({lone_authz("alice", "z1", "a.example")})), "store-full");
}

TEST_F(ReuseTest, ChallengeUpdate_OfOneAlone_MakesItValidForTheGrantsTime) {
  put_alone(lone_authz("alice", "z1", "pump.plant.example"));
  const auto valid = prove_until("z1-c0", kNowMs + 30 * kDayMs);
  ASSERT_TRUE(valid.authz);
  EXPECT_EQ(valid.authz->status, AuthzStatus::kValid);
  EXPECT_EQ(valid.authz->expires_at_ms, kNowMs + 30 * kDayMs);
  put_alone(lone_authz("alice", "z2", "valve.plant.example"));
  ASSERT_TRUE(challenge("z2-c0", ChallengeStatus::kPending, ChallengeStatus::kProcessing).applied);
  const auto work = store_->work_list({});
  ASSERT_EQ(work->challenges.size(), 1u);
  EXPECT_EQ(work->challenges[0].authz_id, "z2");
  EXPECT_EQ(work->challenges[0].account_id, "alice");
  ASSERT_TRUE(challenge("z2-c0", ChallengeStatus::kProcessing, ChallengeStatus::kInvalid).applied);
  EXPECT_EQ(authz_status("z2"), AuthzStatus::kInvalid);
}

TEST_F(ReuseTest, ChallengeUpdate_OfARevokedAccount_IsNotApplied) {
  put_alone(lone_authz("alice", "z1", "pump.plant.example"));
  ASSERT_TRUE(challenge("z1-c0", ChallengeStatus::kPending, ChallengeStatus::kProcessing).applied);
  ASSERT_TRUE(store_->account_update({"alice", {}, AccountStatus::kRevoked, {}}));
  EXPECT_EQ(authz_status("z1"), AuthzStatus::kDeactivated);
  EXPECT_EQ(store_->authz_get({"z1", "alice"})->authz->challenges[0].status,
            ChallengeStatus::kInvalid);
  EXPECT_FALSE(challenge("z1-c0", ChallengeStatus::kProcessing, ChallengeStatus::kValid).applied);
  EXPECT_TRUE(store_->work_list({})->challenges.empty());
}

TEST_F(ReuseTest, OrderPut_AllProvedBefore_IsReadyAtOnce) {
  prove_alone("z1", "a.example");
  prove_alone("z2", "b.example");
  put(relying_order("alice", "t1", {"z2", "z1"}));
  EXPECT_EQ(order_status("t1"), OrderStatus::kReady);
  EXPECT_THAT(store_->order_get({"t1", "alice"})->authz_ids, ElementsAre("z2", "z1"));
  put(relying_order("alice", "t2", {"z1"}));
  EXPECT_EQ(order_status("t2"), OrderStatus::kReady);
  ASSERT_TRUE(move("t1", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  EXPECT_TRUE(move("t1", OrderStatus::kProcessing, OrderStatus::kValid)->applied);
}

TEST_F(ReuseTest, OrderPut_SomeProvedBefore_IsReadyWithTheRest) {
  prove_alone("z1", "a.example");
  auto mixed = shared_order("alice", "t1", 2);
  mixed.reused_ids = {"z1"};
  put(mixed);
  EXPECT_THAT(store_->order_get({"t1", "alice"})->authz_ids, ElementsAre("t1-a0", "t1-a1", "z1"));
  prove("t1", 1);
  EXPECT_EQ(order_status("t1"), OrderStatus::kPending);
  ASSERT_TRUE(challenge("t1-a1-c0", ChallengeStatus::kPending, ChallengeStatus::kValid).applied);
  EXPECT_EQ(order_status("t1"), OrderStatus::kReady);
}

TEST_F(ReuseTest, OrderPut_SharedOfAnEarlierOrder_IsGoodForTheNext) {
  put(shared_order("alice", "t1"));
  prove_until("t1-a0-c0", kNowMs + 30 * kDayMs);
  EXPECT_EQ(store_->authz_get({"t1-a0", "alice"})->authz->ticket, "");
  EXPECT_THAT(found({kHost0}), ElementsAre("t1-a0"));
  put(relying_order("alice", "t2", {"t1-a0"}));
  EXPECT_EQ(order_status("t2"), OrderStatus::kReady);
}

TEST_F(ReuseTest, OrderPut_NotReusable_IsRefusedAndLeavesNothing) {
  put_alone(lone_authz("alice", "pending", "a.example"));
  prove_alone("gone", "b.example");
  ASSERT_TRUE(store_->authz_update({"gone", "alice", AuthzStatus::kDeactivated}));
  add_order("alice", "own");  // its authorization is for it alone
  prove("own");
  prove_alone("z1", "c.example");
  for (const char* id : {"pending", "gone", "own-a0", "nothing"}) {
    EXPECT_EQ(code_of(store_->order_put(relying_order("alice", "t1", {"z1", id}))),
              "authz-not-reusable")
        << id;
  }
  EXPECT_EQ(code_of(store_->order_put(relying_order("bob", "t1", {"z1"}))), "authz-not-reusable");
  EXPECT_EQ(store_->order_put(relying_order("bob", "t1", {"z1"})).error().kind,
            wire::FailureKind::kUnavailable);  // the client comes again
  EXPECT_FALSE(store_->order_get({"t1", "alice"})->order);
  EXPECT_EQ(code_of(store_->order_put(relying_order("alice", "t1", {"z1", "z1"}))),
            "record-malformed");
  EXPECT_EQ(code_of(store_->order_put(relying_order("alice", "t1", {}))), "record-malformed");
  auto device = shared_order("alice", "t1");
  device.authorizations[0].identifier.type = IdentifierType::kPermanentIdentifier;
  EXPECT_EQ(code_of(store_->order_put(device)), "record-malformed");
  auto pending = relying_order("alice", "t1", {"z1"});
  pending.order.status = OrderStatus::kPending;
  EXPECT_EQ(code_of(store_->order_put(pending)), "record-malformed");
  auto many = order("alice", "t1", 64);
  many.reused_ids = {"z1"};
  EXPECT_EQ(code_of(store_->order_put(many)), "record-malformed");
  clock_.now_ms = kNowMs + 30 * kDayMs;
  auto late = relying_order("alice", "t1", {"z1"});
  late.order.expires_at_ms = clock_.now_ms + kDayMs;
  EXPECT_EQ(code_of(store_->order_put(late)), "authz-not-reusable");
}

TEST_F(ReuseTest, AuthzUpdate_Deactivation_EndsEveryOrderThatReliesOnIt) {
  put(shared_order("alice", "t1"));
  prove_until("t1-a0-c0", kNowMs + 30 * kDayMs);
  put(relying_order("alice", "t2", {"t1-a0"}));
  put(relying_order("alice", "done", {"t1-a0"}));
  ASSERT_TRUE(move("done", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  ASSERT_TRUE(move("done", OrderStatus::kProcessing, OrderStatus::kValid)->applied);
  add_order("alice", "other");
  ASSERT_TRUE(store_->authz_update({"t1-a0", "alice", AuthzStatus::kDeactivated}));
  EXPECT_EQ(order_status("t1"), OrderStatus::kInvalid);
  EXPECT_EQ(order_status("t2"), OrderStatus::kInvalid);
  EXPECT_EQ(order_status("done"), OrderStatus::kValid);
  EXPECT_EQ(order_status("other"), OrderStatus::kPending);
  EXPECT_TRUE(found({kHost0}).empty());
}

TEST_F(ReuseTest, Expiry_OfWhatAnOrderReliesOn_EndsTheOrder) {
  prove_alone("z1", "a.example", false, false, 1);
  auto put_later = relying_order("alice", "t1", {"z1"});
  put_later.order.expires_at_ms = kNowMs + 3 * kDayMs;
  put(put_later);
  // One of its own whose proof is good for less than the order.
  auto own = shared_order("alice", "t2", 2);
  own.order.expires_at_ms = kNowMs + 3 * kDayMs;
  for (auto& authz : own.authorizations) authz.expires_at_ms = own.order.expires_at_ms;
  put(own);
  prove_until("t2-a0-c0", kNowMs + kDayMs);
  prove_until("t2-a1-c0", kNowMs + 9 * kDayMs);
  EXPECT_EQ(order_status("t2"), OrderStatus::kReady);
  EXPECT_EQ(store_->order_get({"t1", "alice"})->order->expires_at_ms, kNowMs + kDayMs);
  clock_.now_ms = kNowMs + kDayMs;
  EXPECT_EQ(authz_status("z1"), AuthzStatus::kExpired);
  EXPECT_EQ(order_status("t1"), OrderStatus::kInvalid);
  EXPECT_EQ(order_status("t2"), OrderStatus::kInvalid);
  EXPECT_FALSE(move("t2", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
}

TEST_F(ReuseTest, AuthzFind_NamesWildcardsAndAddresses_EachItsOwn) {
  prove_alone("plain", "a.example");
  prove_alone("wild", "a.example", false, true);
  auto address = lone_authz("alice", "ip", "192.0.2.7");
  address.identifier.type = IdentifierType::kIp;
  put_alone(address);
  prove_until("ip-c0", kNowMs + 30 * kDayMs);
  EXPECT_THAT(found({dns("a.example")}), ElementsAre("plain"));
  EXPECT_THAT(found({dns("*.a.example")}), ElementsAre("wild"));
  EXPECT_THAT(found({{IdentifierType::kIp, "192.0.2.7"}}), ElementsAre("ip"));
  EXPECT_THAT(
      found({dns("*.a.example"), dns("nothing.example"), dns("a.example"), dns("a.example")}),
      ElementsAre("wild", "plain"));
  EXPECT_TRUE(found({dns("b.a.example")}).empty());
  EXPECT_TRUE(found({dns("192.0.2.7")}).empty());
  EXPECT_TRUE(found({dns("a.example")}, "bob").empty());
  EXPECT_TRUE(found({dns("a.example")}, "nobody").empty());
  const auto reply = store_->authz_find({"alice", {dns("a.example")}});
  ASSERT_EQ(reply->authorizations[0].challenges.size(), 1u);
  EXPECT_EQ(reply->authorizations[0].challenges[0].status, ChallengeStatus::kValid);
  ASSERT_TRUE(store_->account_update({"alice", {}, AccountStatus::kDeactivated, {}}));
  EXPECT_TRUE(found({dns("a.example")}).empty());
}

TEST_F(ReuseTest, AuthzFind_OfDevicesOrOfOneOrder_IsNever) {
  auto device = order("alice", "t1");
  device.authorizations[0].identifier = {IdentifierType::kPermanentIdentifier, "serial-7"};
  put(device);
  prove("t1");
  EXPECT_TRUE(found({{IdentifierType::kPermanentIdentifier, "serial-7"}}).empty());
  add_order("alice", "t2");
  prove("t2");
  EXPECT_TRUE(found({kHost0}).empty());
  put_alone(lone_authz("alice", "pending", kHost0.value));
  EXPECT_TRUE(found({kHost0}).empty());
}

TEST_F(ReuseTest, AuthzFind_SubtreesAbove_CoverNamesButNoWildcards) {
  prove_alone("zone", "plant.example", true);
  EXPECT_THAT(found({dns("plant.example")}), ElementsAre("zone"));
  EXPECT_THAT(found({dns("a.b.plant.example")}), ElementsAre("zone"));
  EXPECT_TRUE(found({dns("*.plant.example")}).empty());
  EXPECT_TRUE(found({dns("otherplant.example")}).empty());
  EXPECT_TRUE(found({dns("a.b.c.d.e.f.g.h.i.plant.example")}).empty());  // too far above
  // Once, though two names rely on it.
  EXPECT_THAT(found({dns("a.plant.example"), dns("b.plant.example")}), ElementsAre("zone"));
  prove_alone("plain-zone", "works.example");
  EXPECT_TRUE(found({dns("a.works.example")}).empty());
}

TEST_F(ReuseTest, AuthzFind_Several_TheOneThatLivesLongest) {
  prove_alone("short", "a.plant.example", false, false, 10);
  prove_alone("long", "a.plant.example", false, false, 20);
  prove_alone("middle", "a.plant.example", false, false, 15);
  EXPECT_THAT(found({dns("a.plant.example")}), ElementsAre("long"));
  prove_alone("zone", "plant.example", true, false, 20);  // no longer: its own name's is taken
  EXPECT_THAT(found({dns("a.plant.example")}), ElementsAre("long"));
  prove_alone("zone2", "plant.example", true, false, 30);
  EXPECT_THAT(found({dns("a.plant.example")}), ElementsAre("zone2"));
  clock_.now_ms = kNowMs + 30 * kDayMs;
  EXPECT_TRUE(found({dns("a.plant.example")}).empty());
}

TEST_F(ReuseTest, AuthzFind_MoreThanAFrame_IsCut) {
  std::vector<wire::Identifier> names;
  for (int i = 0; i < 16; ++i) {
    const auto id = "z" + std::to_string(i);
    auto authz = lone_authz("alice", id, id + ".example");
    authz.challenges[0].data_json = std::string(limits::kChallengeDataBytesMax, 'x');
    put_alone(authz);
    prove_until(id + "-c0", kNowMs + kDayMs);
    names.push_back(dns(id + ".example"));
  }
  const auto count = found(names).size();
  EXPECT_GT(count, 4u);
  EXPECT_LT(count, 12u);
}

TEST_F(ReuseTest, Sweep_SharedOfADeletedOrder_LivesUntilItsOwnTime) {
  put(shared_order("alice", "t1", 2));
  prove_until("t1-a0-c0", kNowMs + 30 * kDayMs);
  prove_alone("z1", "a.example");
  clock_.now_ms = kNowMs + kDayMs + limits::kOrderRetentionMs;
  EXPECT_EQ(store_->sweep()->orders, 1);
  EXPECT_FALSE(store_->order_get({"t1", "alice"})->order);
  EXPECT_THAT(found({kHost0}), ElementsAre("t1-a0"));
  EXPECT_FALSE(store_->authz_get({"t1-a1", "alice"})->authz);  // was never proved
  reopen();
  auto next = relying_order("alice", "t2", {"t1-a0"});  // takes no number that is in use
  next.order.expires_at_ms = clock_.now_ms + kDayMs;
  put(next);
  EXPECT_THAT(store_->order_get({"t2", "alice"})->authz_ids, ElementsAre("t1-a0"));
  clock_.now_ms = kNowMs + 30 * kDayMs + limits::kOrderRetentionMs;
  const auto swept = store_->sweep();
  EXPECT_EQ(swept->orders, 1);
  EXPECT_EQ(swept->authorizations, 2);
  EXPECT_FALSE(store_->authz_get({"t1-a0", "alice"})->authz);
  EXPECT_FALSE(store_->authz_get({"z1", "alice"})->authz);
  put_alone([&] {  // every row of them is gone, their ids are free
    auto again = lone_authz("bob", "z1", "a.example");
    again.expires_at_ms = clock_.now_ms + kDayMs;
    return again;
  }());
}

TEST_F(ReuseTest, Sweep_WhatALivingOrderReliesOn_IsKept) {
  prove_alone("z1", "a.example", false, false, 1);
  put(relying_order("alice", "t1", {"z1"}));
  ASSERT_TRUE(move("t1", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  clock_.now_ms = kNowMs + kDayMs + limits::kOrderRetentionMs - 1;
  EXPECT_EQ(store_->sweep()->all(), 0);
  EXPECT_THAT(store_->order_get({"t1", "alice"})->authz_ids, ElementsAre("z1"));
}

}  // namespace
}  // namespace keyward::store
