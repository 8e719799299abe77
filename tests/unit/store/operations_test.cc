// Every operation of the store and each of its refusals.
#include <gmock/gmock.h>

#include "tests/unit/store/fixture.h"

namespace keyward::store {
namespace {

using wire::AccountStatus;
using wire::AuthzStatus;
using wire::ChallengeStatus;
using wire::OrderStatus;

TEST_F(StoreTest, AccountPut_NewKey_IsCreatedAndReadBackWhole) {
  const auto put = store_->account_put({account("alice")});
  ASSERT_TRUE(put);
  EXPECT_TRUE(put->created);
  const auto by_id = store_->account_get({.id = "alice", .thumbprint = {}});
  ASSERT_TRUE(by_id && by_id->account);
  EXPECT_EQ(by_id->account->jwk, account("alice").jwk);
  EXPECT_EQ(by_id->account->contacts, account("alice").contacts);
  EXPECT_EQ(by_id->account->created_at_ms, kNowMs);
  EXPECT_TRUE(by_id->account->terms_agreed);
  const auto by_key = store_->account_get({.id = {}, .thumbprint = account("alice").thumbprint});
  ASSERT_TRUE(by_key && by_key->account);
  EXPECT_EQ(by_key->account->id, "alice");
}

TEST_F(StoreTest, AccountPut_KnownKey_AnswersTheFirstAccountUnchanged) {
  add_account("alice");
  auto again = account("alice");
  again.id = "another";
  again.contacts = {};
  const auto put = store_->account_put({again});
  ASSERT_TRUE(put);
  EXPECT_FALSE(put->created);
  EXPECT_EQ(put->account.id, "alice");
  EXPECT_EQ(put->account.contacts.size(), 1u);
}

TEST_F(StoreTest, AccountPut_IdOfAnotherKey_IsRefused) {
  add_account("alice");
  auto other = account("bob");
  other.id = "alice";
  EXPECT_EQ(code_of(store_->account_put({other})), "row-exists");
}

TEST_F(StoreTest, AccountPut_NotValidOrWithoutKey_IsRefused) {
  auto dead = account("alice");
  dead.status = AccountStatus::kDeactivated;
  EXPECT_EQ(code_of(store_->account_put({dead})), "record-malformed");
  auto keyless = account("alice");
  keyless.jwk.clear();
  EXPECT_EQ(code_of(store_->account_put({keyless})), "record-malformed");
}

TEST_F(StoreTest, AccountPut_OverTheLimit_IsRefused) {
  reopen({.directory = {}, .accounts_max = 2});
  add_account("alice");
  add_account("bob");
  EXPECT_EQ(code_of(store_->account_put({account("carol")})), "account-limit");
  reopen({.directory = {}, .accounts_max = 2});  // the count is found again
  EXPECT_EQ(code_of(store_->account_put({account("carol")})), "account-limit");
  EXPECT_FALSE(store_->account_put({account("bob")})->created);
}

TEST_F(StoreTest, AccountGet_NoKeyOrTwo_IsRefusedAndUnknownIsAbsent) {
  EXPECT_EQ(code_of(store_->account_get({})), "record-malformed");
  EXPECT_EQ(code_of(store_->account_get({.id = "a", .thumbprint = Digest256{}})),
            "record-malformed");
  const auto absent = store_->account_get({.id = "nobody", .thumbprint = {}});
  ASSERT_TRUE(absent);
  EXPECT_FALSE(absent->account);
}

TEST_F(StoreTest, AccountUpdate_Contacts_AreReplaced) {
  add_account("alice");
  wire::AccountUpdate update;
  update.id = "alice";
  update.contacts = std::vector<std::string>{"mailto:a@b.example", "mailto:c@d.example"};
  const auto reply = store_->account_update(update);
  ASSERT_TRUE(reply && reply->account);
  EXPECT_EQ(reply->account->contacts.size(), 2u);
  EXPECT_EQ(store_->account_get({.id = "alice", .thumbprint = {}})->account->contacts,
            *update.contacts);
}

TEST_F(StoreTest, AccountUpdate_Deactivation_EndsOpenOrdersAndKeepsFinishedOnes) {
  add_account("alice");
  add_account("bob");
  add_order("alice", "open", 2);
  add_order("alice", "proving");
  ASSERT_TRUE(
      challenge("proving-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kProcessing).applied);
  add_order("alice", "done");
  issue("done");
  add_order("bob", "other");
  wire::AccountUpdate update{"alice", {}, AccountStatus::kDeactivated, {}};
  const auto reply = store_->account_update(update);
  ASSERT_TRUE(reply && reply->account);
  EXPECT_EQ(reply->account->status, AccountStatus::kDeactivated);
  EXPECT_EQ(order_status("open"), OrderStatus::kInvalid);
  EXPECT_EQ(authz_status("open-a0"), AuthzStatus::kDeactivated);
  EXPECT_EQ(authz_status("open-a1"), AuthzStatus::kDeactivated);
  EXPECT_EQ(order_status("proving"), OrderStatus::kInvalid);
  EXPECT_EQ(store_->authz_get({"proving-a0", "alice"})->authz->challenges[0].status,
            ChallengeStatus::kInvalid);
  EXPECT_EQ(order_status("done"), OrderStatus::kValid);
  EXPECT_EQ(order_status("other", "bob"), OrderStatus::kPending);
  EXPECT_TRUE(store_->work_list({})->challenges.empty());
}

TEST_F(StoreTest, AccountUpdate_Reactivation_IsRefused) {
  add_account("alice");
  ASSERT_TRUE(store_->account_update({"alice", {}, AccountStatus::kDeactivated, {}}));
  EXPECT_EQ(code_of(store_->account_update({"alice", {}, AccountStatus::kValid, {}})),
            "edge-not-allowed");
  EXPECT_EQ(code_of(store_->account_update({"alice", std::vector<std::string>{}, {}, {}})),
            "account-not-valid");
  EXPECT_FALSE(store_->account_update({"nobody", {}, AccountStatus::kDeactivated, {}})->account);
}

TEST_F(StoreTest, OrderPut_ReadBack_IsTheSame) {
  add_account("alice");
  add_order("alice", "t1", 3);
  const auto got = store_->order_get({"t1", "alice"});
  ASSERT_TRUE(got && got->order);
  EXPECT_EQ(got->order->status, OrderStatus::kPending);
  EXPECT_EQ(got->order->terms, to_bytes("terms of t1"));
  EXPECT_EQ(got->order->identifiers, order("alice", "t1", 3).order.identifiers);
  EXPECT_THAT(got->authz_ids, ::testing::ElementsAre("t1-a0", "t1-a1", "t1-a2"));
  const auto authz = store_->authz_get({"t1-a2", "alice"});
  ASSERT_TRUE(authz && authz->authz);
  EXPECT_EQ(authz->authz->ticket, "t1");
  EXPECT_EQ(authz->authz->identifier.value, "host2.plant.example");
  ASSERT_EQ(authz->authz->challenges.size(), 2u);
  EXPECT_EQ(authz->authz->challenges[1].token, "token-of-t1-a2-c1");
  EXPECT_EQ(authz->authz->challenges[1].method, wire::ValidationMethod::kDns01);
}

TEST_F(StoreTest, OrderPut_SixtyFourNames_KeepTheirSequence) {
  add_account("alice");
  add_order("alice", "big", 64);
  add_order("alice", "next", 64);
  const auto got = store_->order_get({"big", "alice"});
  ASSERT_EQ(got->authz_ids.size(), 64u);
  EXPECT_EQ(got->authz_ids[63], "big-a63");
  prove("big", 64);
  EXPECT_EQ(order_status("big"), OrderStatus::kReady);
  EXPECT_EQ(order_status("next"), OrderStatus::kPending);
}

TEST_F(StoreTest, OrderPut_UnknownOrDeactivatedAccount_IsRefused) {
  EXPECT_EQ(code_of(store_->order_put(order("alice", "t1"))), "account-unknown");
  add_account("alice");
  ASSERT_TRUE(store_->account_update({"alice", {}, AccountStatus::kDeactivated, {}}));
  EXPECT_EQ(code_of(store_->order_put(order("alice", "t1"))), "account-not-valid");
}

TEST_F(StoreTest, OrderPut_SameTicketOrSameChallengeId_IsRefusedAndLeavesNothing) {
  add_account("alice");
  add_order("alice", "t1");
  EXPECT_EQ(code_of(store_->order_put(order("alice", "t1"))), "row-exists");
  auto clash = order("alice", "t2", 2);
  clash.authorizations[1].challenges[1].id = "t1-a0-c0";
  EXPECT_EQ(code_of(store_->order_put(clash)), "row-exists");
  EXPECT_FALSE(store_->order_get({"t2", "alice"})->order);
  EXPECT_FALSE(store_->authz_get({"t2-a0", "alice"})->authz);
}

TEST_F(StoreTest, OrderPut_ContradictingRecords_AreRefused) {
  add_account("alice");
  const auto refused = [&](auto change) {
    auto put = order("alice", "t1", 2);
    change(put);
    return code_of(store_->order_put(put));
  };
  EXPECT_EQ(refused([](auto& p) { p.authorizations.clear(); }), "record-malformed");
  EXPECT_EQ(refused([](auto& p) { p.order.status = OrderStatus::kReady; }), "record-malformed");
  EXPECT_EQ(refused([](auto& p) { p.order.status = OrderStatus::kValid; }), "record-malformed");
  EXPECT_EQ(refused([](auto& p) { p.order.certificate_id = "x"; }), "record-malformed");
  EXPECT_EQ(refused([](auto& p) { p.order.expires_at_ms = kNowMs; }), "record-malformed");
  EXPECT_EQ(refused([](auto& p) { p.authorizations[0].account_id = "bob"; }), "record-malformed");
  EXPECT_EQ(refused([](auto& p) { p.authorizations[1].ticket = "other"; }), "record-malformed");
  EXPECT_EQ(refused([](auto& p) { p.authorizations[0].status = AuthzStatus::kRevoked; }),
            "record-malformed");
  EXPECT_EQ(refused([](auto& p) { p.authorizations[0].challenges.clear(); }), "record-malformed");
  EXPECT_EQ(refused([](auto& p) { p.authorizations[0].challenges[0].authz_id = "t1-a1"; }),
            "record-malformed");
  EXPECT_EQ(refused([](auto& p) { p.authorizations[0].challenges[0].token.clear(); }),
            "record-malformed");
  EXPECT_EQ(refused([](auto&) {}), "answered");
}

TEST_F(StoreTest, OrderPut_TooManyOpenOrders_IsRefusedUntilOneEndsOrExpires) {
  reopen({.directory = {}, .open_orders_per_account_max = 2});
  add_account("alice");
  add_account("bob");
  add_order("alice", "t1");
  add_order("alice", "t2");
  EXPECT_EQ(code_of(store_->order_put(order("alice", "t3"))), "order-limit");
  add_order("bob", "b1");
  issue("t1");
  add_order("alice", "t4");
  EXPECT_EQ(code_of(store_->order_put(order("alice", "t5"))), "order-limit");
  clock_.now_ms = kNowMs + kDayMs;
  auto later = order("alice", "t6");
  later.order.expires_at_ms += kDayMs;
  EXPECT_EQ(code_of(store_->order_put(later)), "answered");
}

TEST_F(StoreTest, Rows_OfAnotherAccount_AreAbsent) {
  add_account("alice");
  add_account("bob");
  add_order("alice", "t1");
  issue("t1");
  EXPECT_TRUE(store_->order_get({"t1", "alice"})->order);
  EXPECT_FALSE(store_->order_get({"t1", "bob"})->order);
  EXPECT_TRUE(store_->order_get({"t1", "bob"})->authz_ids.empty());
  EXPECT_TRUE(store_->authz_get({"t1-a0", "alice"})->authz);
  EXPECT_FALSE(store_->authz_get({"t1-a0", "bob"})->authz);
  EXPECT_FALSE(store_->authz_update({"t1-a0", "bob", AuthzStatus::kDeactivated})->authz);
  EXPECT_TRUE(store_->certificate_get({"cert-t1", "alice"})->certificate);
  EXPECT_FALSE(store_->certificate_get({"cert-t1", "bob"})->certificate);
  EXPECT_TRUE(store_->order_list({"bob", {}})->tickets.empty());
}

TEST_F(StoreTest, ChallengeUpdate_AllValid_MakesTheOrderReady) {
  add_account("alice");
  add_order("alice", "t1", 2);
  const auto first = challenge("t1-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kProcessing);
  EXPECT_TRUE(first.applied);
  EXPECT_EQ(first.authz->status, AuthzStatus::kPending);
  const auto valid = challenge("t1-a0-c0", ChallengeStatus::kProcessing, ChallengeStatus::kValid);
  EXPECT_TRUE(valid.applied);
  EXPECT_EQ(valid.authz->status, AuthzStatus::kValid);
  EXPECT_EQ(valid.authz->challenges[0].validated_at_ms, kNowMs);
  EXPECT_EQ(order_status("t1"), OrderStatus::kPending);
  EXPECT_TRUE(challenge("t1-a1-c1", ChallengeStatus::kPending, ChallengeStatus::kValid).applied);
  EXPECT_EQ(order_status("t1"), OrderStatus::kReady);
}

TEST_F(StoreTest, ChallengeUpdate_Invalid_EndsAuthorizationAndOrderWithTheError) {
  add_account("alice");
  add_order("alice", "t1", 2);
  prove("t1", 1);
  EXPECT_TRUE(challenge("t1-a1-c0", ChallengeStatus::kPending, ChallengeStatus::kInvalid).applied);
  EXPECT_EQ(authz_status("t1-a1"), AuthzStatus::kInvalid);
  const auto got = store_->order_get({"t1", "alice"});
  EXPECT_EQ(got->order->status, OrderStatus::kInvalid);
  EXPECT_TRUE(got->order->error_json);
  EXPECT_FALSE(challenge("t1-a1-c1", ChallengeStatus::kPending, ChallengeStatus::kValid).applied);
}

TEST_F(StoreTest, ChallengeUpdate_AnotherStateThanExpected_IsNotApplied) {
  add_account("alice");
  add_order("alice", "t1");
  EXPECT_FALSE(
      challenge("t1-a0-c0", ChallengeStatus::kProcessing, ChallengeStatus::kValid).applied);
  EXPECT_EQ(authz_status("t1-a0"), AuthzStatus::kPending);
  prove("t1");
  const auto twice = challenge("t1-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kValid);
  EXPECT_FALSE(twice.applied);
  EXPECT_EQ(twice.authz->status, AuthzStatus::kValid);
  const auto unknown = challenge("nothing", ChallengeStatus::kPending, ChallengeStatus::kValid);
  EXPECT_FALSE(unknown.applied);
  EXPECT_FALSE(unknown.authz);
}

TEST_F(StoreTest, ChallengeUpdate_ImpossibleEdgeOrFields_AreRefused) {
  add_account("alice");
  add_order("alice", "t1");
  const auto refused = [&](wire::ChallengeUpdate update) {
    return code_of(store_->challenge_update(update));
  };
  EXPECT_EQ(refused({"t1-a0-c0", ChallengeStatus::kValid, ChallengeStatus::kPending, {}, {}, {}}),
            "edge-not-allowed");
  EXPECT_EQ(
      refused({"t1-a0-c0", ChallengeStatus::kInvalid, ChallengeStatus::kValid, kNowMs, {}, {}}),
      "edge-not-allowed");
  EXPECT_EQ(refused({"t1-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kValid, {}, {}, {}}),
            "record-malformed");
  EXPECT_EQ(refused({"t1-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kInvalid, {}, {}, {}}),
            "record-malformed");
  EXPECT_EQ(refused({"t1-a0-c0",
                     ChallengeStatus::kPending,
                     ChallengeStatus::kInvalid,
                     {},
                     "{}",
                     kNowMs + kDayMs}),
            "record-malformed");
  EXPECT_EQ(
      refused({"t1-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kProcessing, {}, "{}", {}}),
      "record-malformed");
}

TEST_F(StoreTest, OrderUpdate_Issued_KeepsCertificateAndDropsFinalize) {
  add_account("alice");
  add_order("alice", "t1");
  prove("t1");
  const auto processing = move("t1", OrderStatus::kReady, OrderStatus::kProcessing);
  ASSERT_TRUE(processing && processing->applied);
  const auto waiting = store_->order_get({"t1", "alice"});
  ASSERT_TRUE(waiting->order->finalize);
  EXPECT_EQ(waiting->order->finalize->payload_b64, finalize().payload_b64);
  EXPECT_EQ(store_->work_list({})->orders.size(), 1u);
  const auto valid = move("t1", OrderStatus::kProcessing, OrderStatus::kValid);
  ASSERT_TRUE(valid && valid->applied);
  EXPECT_EQ(valid->order->certificate_id, "cert-t1");
  const auto done = store_->order_get({"t1", "alice"});
  EXPECT_EQ(done->order->status, OrderStatus::kValid);
  EXPECT_FALSE(done->order->finalize);
  EXPECT_EQ(done->order->certificate_id, "cert-t1");
  const auto got = store_->certificate_get({"cert-t1", "alice"});
  ASSERT_TRUE(got && got->certificate);
  EXPECT_EQ(got->certificate->chain, certificate("alice", "t1").chain);
  EXPECT_EQ(got->certificate->serial, certificate("alice", "t1").serial);
  EXPECT_TRUE(store_->work_list({})->orders.empty());
}

TEST_F(StoreTest, OrderUpdate_RefusedCsr_LeavesTheOrderReady) {
  add_account("alice");
  add_order("alice", "t1");
  prove("t1");
  ASSERT_TRUE(move("t1", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  ASSERT_TRUE(move("t1", OrderStatus::kProcessing, OrderStatus::kReady)->applied);
  EXPECT_EQ(order_status("t1"), OrderStatus::kReady);
  EXPECT_FALSE(store_->order_get({"t1", "alice"})->order->finalize);
}

TEST_F(StoreTest, OrderUpdate_AnotherStateThanExpected_IsNotApplied) {
  add_account("alice");
  add_order("alice", "t1");
  const auto early = move("t1", OrderStatus::kReady, OrderStatus::kProcessing);
  ASSERT_TRUE(early);
  EXPECT_FALSE(early->applied);
  EXPECT_EQ(early->order->status, OrderStatus::kPending);
  issue("t1");
  const auto again = move("t1", OrderStatus::kProcessing, OrderStatus::kValid);
  EXPECT_FALSE(again->applied);
  EXPECT_EQ(again->order->status, OrderStatus::kValid);
  EXPECT_FALSE(move("nothing", OrderStatus::kReady, OrderStatus::kProcessing)->order);
}

TEST_F(StoreTest, OrderUpdate_ImpossibleEdgeOrFields_AreRefused) {
  add_account("alice");
  add_order("alice", "t1");
  EXPECT_EQ(code_of(move("t1", OrderStatus::kPending, OrderStatus::kReady)), "edge-not-allowed");
  EXPECT_EQ(code_of(move("t1", OrderStatus::kPending, OrderStatus::kProcessing)),
            "edge-not-allowed");
  EXPECT_EQ(code_of(move("t1", OrderStatus::kInvalid, OrderStatus::kValid)), "edge-not-allowed");
  const auto refused = [&](auto change) {
    wire::OrderUpdate update;
    update.ticket = "t1";
    update.expected = OrderStatus::kProcessing;
    update.status = OrderStatus::kValid;
    update.certificate = certificate("alice", "t1");
    change(update);
    return code_of(store_->order_update(update));
  };
  EXPECT_EQ(refused([](auto& u) { u.certificate.reset(); }), "record-malformed");
  EXPECT_EQ(refused([](auto& u) { u.finalize = finalize(); }), "record-malformed");
  EXPECT_EQ(refused([](auto& u) { u.error_json = "{}"; }), "record-malformed");
  EXPECT_EQ(refused([](auto& u) { u.status = OrderStatus::kInvalid; }), "record-malformed");
  prove("t1");
  ASSERT_TRUE(move("t1", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  EXPECT_EQ(refused([](auto& u) { u.certificate->ticket = "other"; }), "record-malformed");
  EXPECT_EQ(refused([](auto& u) { u.certificate->account_id = "bob"; }), "record-malformed");
  EXPECT_EQ(refused([](auto& u) { u.certificate->chain.clear(); }), "record-malformed");
  EXPECT_EQ(refused([](auto& u) { u.certificate->chain.assign(6, Bytes(16'000, 1)); }),
            "record-malformed");
  EXPECT_EQ(order_status("t1"), OrderStatus::kProcessing);
  EXPECT_EQ(refused([](auto&) {}), "answered");
}

TEST_F(StoreTest, OrderUpdate_HugeFinalize_IsRefused) {
  add_account("alice");
  add_order("alice", "t1");
  prove("t1");
  wire::OrderUpdate update;
  update.ticket = "t1";
  update.expected = OrderStatus::kReady;
  update.status = OrderStatus::kProcessing;
  update.finalize =
      wire::ClientJws{"x", std::string(limits::kStoredFinalizeBytesMax, 'a'), Bytes(64)};
  EXPECT_EQ(code_of(store_->order_update(update)), "record-malformed");
}

TEST_F(StoreTest, AuthzUpdate_Deactivation_EndsTheOrder) {
  add_account("alice");
  add_order("alice", "t1", 2);
  prove("t1", 2);
  EXPECT_EQ(order_status("t1"), OrderStatus::kReady);
  const auto reply = store_->authz_update({"t1-a1", "alice", AuthzStatus::kDeactivated});
  ASSERT_TRUE(reply && reply->authz);
  EXPECT_EQ(reply->authz->status, AuthzStatus::kDeactivated);
  EXPECT_EQ(order_status("t1"), OrderStatus::kInvalid);
  EXPECT_EQ(authz_status("t1-a0"), AuthzStatus::kValid);
  EXPECT_EQ(store_->authz_update({"t1-a1", "alice", AuthzStatus::kDeactivated})->authz->status,
            AuthzStatus::kDeactivated);
}

TEST_F(StoreTest, AuthzUpdate_OtherStatusOrEndedAuthorization_IsRefused) {
  add_account("alice");
  add_order("alice", "t1");
  EXPECT_EQ(code_of(store_->authz_update({"t1-a0", "alice", AuthzStatus::kValid})),
            "edge-not-allowed");
  ASSERT_TRUE(challenge("t1-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kInvalid).applied);
  EXPECT_EQ(code_of(store_->authz_update({"t1-a0", "alice", AuthzStatus::kDeactivated})),
            "edge-not-allowed");
}

TEST_F(StoreTest, AuthzUpdate_Revocation_OfWhatWasProvedAlone) {
  add_account("alice");
  add_order("alice", "t1");
  EXPECT_EQ(code_of(store_->authz_update({"t1-a0", "alice", AuthzStatus::kRevoked})),
            "edge-not-allowed");
  prove("t1");
  const auto reply = store_->authz_update({"t1-a0", "alice", AuthzStatus::kRevoked});
  ASSERT_TRUE(reply && reply->authz);
  EXPECT_EQ(reply->authz->status, AuthzStatus::kRevoked);
  EXPECT_EQ(order_status("t1"), OrderStatus::kInvalid);
}

TEST_F(StoreTest, AuthzUpdate_OfAnIssuedOrder_KeepsTheOrderValid) {
  add_account("alice");
  add_order("alice", "t1");
  issue("t1");
  ASSERT_TRUE(store_->authz_update({"t1-a0", "alice", AuthzStatus::kDeactivated}));
  EXPECT_EQ(order_status("t1"), OrderStatus::kValid);
}

TEST_F(StoreTest, Expiry_OfPendingAndReady_ReadsAsInvalidAndExpiredAndIsNotApplied) {
  add_account("alice");
  add_order("alice", "pending");
  add_order("alice", "ready");
  prove("ready");
  add_order("alice", "processing");
  prove("processing");
  ASSERT_TRUE(move("processing", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  clock_.now_ms = kNowMs + kDayMs;
  EXPECT_EQ(order_status("pending"), OrderStatus::kInvalid);
  EXPECT_EQ(authz_status("pending-a0"), AuthzStatus::kExpired);
  EXPECT_EQ(order_status("ready"), OrderStatus::kInvalid);
  EXPECT_FALSE(
      challenge("pending-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kValid).applied);
  const auto late = move("ready", OrderStatus::kReady, OrderStatus::kProcessing);
  EXPECT_FALSE(late->applied);
  EXPECT_EQ(late->order->status, OrderStatus::kInvalid);
  // Its finalize came in time: the signer decides.
  EXPECT_EQ(order_status("processing"), OrderStatus::kProcessing);
  EXPECT_TRUE(move("processing", OrderStatus::kProcessing, OrderStatus::kValid)->applied);
}

TEST_F(StoreTest, OrderList_PagesThroughShownOrdersAlone) {
  add_account("alice");
  for (int i = 0; i < 130; ++i) add_order("alice", "t" + std::to_string(1000 + i));
  ASSERT_TRUE(
      challenge("t1005-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kInvalid).applied);
  const auto first = store_->order_list({"alice", {}});
  ASSERT_TRUE(first && first->next);
  EXPECT_EQ(first->tickets.size(), limits::kOrdersPageMax);
  EXPECT_EQ(first->tickets.front(), "t1000");
  const auto second = store_->order_list({"alice", first->next});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->tickets.size(), 29u);
  EXPECT_FALSE(second->next);
  EXPECT_THAT(first->tickets, ::testing::Not(::testing::Contains("t1005")));
  EXPECT_EQ(code_of(store_->order_list({"alice", "1; DROP"})), "record-malformed");
  EXPECT_EQ(code_of(store_->order_list({"alice", "-1"})), "record-malformed");
}

TEST_F(StoreTest, WorkList_AfterReopening_NamesWhatWasUnderWay) {
  add_account("alice");
  add_order("alice", "t1");
  ASSERT_TRUE(
      challenge("t1-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kProcessing).applied);
  add_order("alice", "t2");
  prove("t2");
  ASSERT_TRUE(move("t2", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  reopen();
  const auto work = store_->work_list({});
  ASSERT_TRUE(work);
  ASSERT_EQ(work->challenges.size(), 1u);
  EXPECT_EQ(work->challenges[0].challenge_id, "t1-a0-c0");
  EXPECT_EQ(work->challenges[0].authz_id, "t1-a0");
  EXPECT_EQ(work->challenges[0].account_id, "alice");
  ASSERT_EQ(work->orders.size(), 1u);
  EXPECT_EQ(work->orders[0].ticket, "t2");
}

}  // namespace
}  // namespace keyward::store
