// Keys of accounts: what was agreed with the account, key changes, and keys of the past.
#include <thread>

#include "tests/unit/store/fixture.h"

namespace keyward::store {
namespace {

using wire::AccountStatus;
using wire::AuthzStatus;
using wire::ChallengeStatus;
using wire::OrderStatus;

class KeysTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    add_account("alice");
  }
  static Digest256 key(const std::string& name) { return account(name).thumbprint; }
  static wire::AccountRekey change(const std::string& id, const std::string& from,
                                   const std::string& to) {
    return {id, key(from), key(to), account(to).jwk, false};
  }
  std::optional<wire::AccountRecord> by_key(const std::string& name) {
    const auto reply = store_->account_get({.id = {}, .thumbprint = key(name)});
    EXPECT_TRUE(reply);
    return reply ? reply->account : std::nullopt;
  }
};

TEST_F(KeysTest, AccountPut_WithBindingAndTerms_IsReadBackWhole) {
  auto bound = account("bob");
  bound.terms_url = "https://ca.example/terms/1";
  bound.binding_json = R"({"protected":"p","payload":"q","signature":"s"})";
  bound.eab_kid = "kid-7";
  ASSERT_TRUE(store_->account_put({bound})->created);
  const auto got = store_->account_get({.id = "bob", .thumbprint = {}})->account;
  ASSERT_TRUE(got);
  EXPECT_EQ(got->terms_url, bound.terms_url);
  EXPECT_EQ(got->binding_json, bound.binding_json);
  EXPECT_EQ(got->eab_kid, bound.eab_kid);
  EXPECT_TRUE(got->earlier_keys.empty());
  auto with_past = account("carol");
  with_past.earlier_keys = {{key("bob")}};
  EXPECT_EQ(code_of(store_->account_put({with_past})), "record-malformed");
}

TEST_F(KeysTest, AccountUpdate_Terms_AreAgreedTo) {
  auto plain = account("bob");
  plain.terms_agreed = false;
  ASSERT_TRUE(store_->account_put({plain}));
  const auto reply = store_->account_update({"bob", {}, {}, "https://ca.example/terms/2"});
  ASSERT_TRUE(reply && reply->account);
  EXPECT_EQ(reply->account->terms_url, "https://ca.example/terms/2");
  EXPECT_TRUE(reply->account->terms_agreed);
  const auto got = store_->account_get({.id = "bob", .thumbprint = {}})->account;
  EXPECT_EQ(got->terms_url, "https://ca.example/terms/2");
  EXPECT_TRUE(got->terms_agreed);
  ASSERT_TRUE(store_->account_update({"bob", {}, AccountStatus::kDeactivated, {}}));
  EXPECT_EQ(code_of(store_->account_update({"bob", {}, {}, "https://ca.example/terms/3"})),
            "account-not-valid");
}

TEST_F(KeysTest, AccountUpdate_RevokedByTheServer_EndsWhatIsOpenForGood) {
  add_order("alice", "open");
  const auto reply = store_->account_update({"alice", {}, AccountStatus::kRevoked, {}});
  EXPECT_EQ(reply->account->status, AccountStatus::kRevoked);
  EXPECT_EQ(order_status("open"), OrderStatus::kInvalid);
  EXPECT_EQ(code_of(store_->account_update({"alice", {}, AccountStatus::kValid, {}})),
            "edge-not-allowed");
  EXPECT_EQ(code_of(store_->order_put(order("alice", "t1"))), "account-not-valid");
  EXPECT_EQ(code_of(store_->account_rekey(change("alice", "alice", "new"))), "account-not-valid");
}

TEST_F(KeysTest, Rekey_FreeKey_KeepsTheAccountAndRemembersTheOldKey) {
  add_order("alice", "t1");
  const auto before = store_->syncs();
  const auto reply = store_->account_rekey(change("alice", "alice", "new"));
  EXPECT_GT(store_->syncs(), before);  // promised
  ASSERT_TRUE(reply && reply->applied && reply->account);
  EXPECT_FALSE(reply->holder_id);
  EXPECT_EQ(reply->account->id, "alice");
  EXPECT_EQ(reply->account->thumbprint, key("new"));
  EXPECT_EQ(reply->account->jwk, account("new").jwk);
  reopen();
  ASSERT_TRUE(by_key("new"));
  EXPECT_EQ(by_key("new")->id, "alice");
  EXPECT_EQ(by_key("new")->earlier_keys, std::vector<wire::EarlierKey>{{key("alice")}});
  EXPECT_FALSE(by_key("alice"));
  EXPECT_EQ(order_status("t1"), OrderStatus::kPending);
}

TEST_F(KeysTest, Rekey_WrongExpectationUnknownAccountOrNoKey_ChangesNothing) {
  const auto late = store_->account_rekey(change("alice", "other", "new"));
  ASSERT_TRUE(late && late->account);
  EXPECT_FALSE(late->applied);
  EXPECT_FALSE(late->holder_id);
  EXPECT_EQ(late->account->thumbprint, key("alice"));
  const auto nobody = store_->account_rekey(change("nobody", "alice", "new"));
  ASSERT_TRUE(nobody);
  EXPECT_FALSE(nobody->applied || nobody->account || nobody->holder_id);
  auto keyless = change("alice", "alice", "new");
  keyless.jwk.clear();
  EXPECT_EQ(code_of(store_->account_rekey(keyless)), "record-malformed");
  EXPECT_FALSE(by_key("new"));
}

TEST_F(KeysTest, Rekey_KeyOfAnAccount_NamesItsHolder) {
  add_account("bob");
  const auto reply = store_->account_rekey(change("alice", "alice", "bob"));
  ASSERT_TRUE(reply);
  EXPECT_FALSE(reply->applied);
  EXPECT_EQ(reply->holder_id, "bob");
  EXPECT_EQ(by_key("alice")->id, "alice");
  // The same change once more, after the answer was lost.
  ASSERT_TRUE(store_->account_rekey(change("alice", "alice", "new"))->applied);
  const auto again = store_->account_rekey(change("alice", "alice", "new"));
  EXPECT_FALSE(again->applied);
  EXPECT_EQ(again->holder_id, "alice");
  EXPECT_EQ(again->account->thumbprint, key("new"));
}

TEST_F(KeysTest, EarlierKey_MakesNoAccountAndComesBackToNone) {
  ASSERT_TRUE(store_->account_rekey(change("alice", "alice", "new"))->applied);
  auto taken = account("alice");
  taken.id = "mallory";
  EXPECT_EQ(code_of(store_->account_put({taken})), "key-was-used");
  EXPECT_EQ(code_of(store_->account_rekey(change("alice", "new", "alice"))), "key-was-used");
  add_account("bob");
  EXPECT_EQ(code_of(store_->account_rekey(change("bob", "bob", "alice"))), "key-was-used");
  EXPECT_EQ(by_key("bob")->id, "bob");
}

TEST_F(KeysTest, Rekey_TooOften_IsRefused) {
  std::string from = "alice";
  for (std::size_t i = 0; i < limits::kEarlierKeysMax; ++i) {
    const auto to = "key" + std::to_string(i);
    ASSERT_TRUE(store_->account_rekey(change("alice", from, to))->applied) << i;
    from = to;
  }
  EXPECT_EQ(by_key(from)->earlier_keys.size(), limits::kEarlierKeysMax);
  EXPECT_EQ(code_of(store_->account_rekey(change("alice", from, "last"))), "key-history-full");
  EXPECT_EQ(by_key(from)->id, "alice");
  EXPECT_FALSE(by_key("last"));
}

TEST_F(KeysTest, Rekey_EndingOrders_EndsAllThatTheOldKeyHadBegun) {
  ASSERT_TRUE(store_->order_put(shared_order("alice", "done")));
  issue("done");
  ASSERT_TRUE(store_->authz_put({lone_authz("alice", "proved", "a.example")}));
  ASSERT_TRUE(challenge("proved-c0", ChallengeStatus::kPending, ChallengeStatus::kValid).applied);
  ASSERT_TRUE(store_->authz_put({lone_authz("alice", "begun", "b.example")}));
  ASSERT_TRUE(
      challenge("begun-c0", ChallengeStatus::kPending, ChallengeStatus::kProcessing).applied);
  ASSERT_TRUE(store_->order_put(relying_order("alice", "open", {"proved", "done-a0"})));
  add_account("bob");
  add_order("bob", "other");
  auto recovery = change("alice", "alice", "new");
  recovery.end_orders = true;
  ASSERT_TRUE(store_->account_rekey(recovery)->applied);
  EXPECT_EQ(order_status("open"), OrderStatus::kInvalid);
  EXPECT_EQ(order_status("done"), OrderStatus::kValid);
  EXPECT_EQ(authz_status("proved"), AuthzStatus::kDeactivated);
  EXPECT_EQ(authz_status("begun"), AuthzStatus::kDeactivated);
  EXPECT_EQ(authz_status("done-a0"), AuthzStatus::kDeactivated);
  EXPECT_FALSE(
      challenge("begun-c0", ChallengeStatus::kProcessing, ChallengeStatus::kValid).applied);
  EXPECT_TRUE(store_->authz_find({"alice", {{wire::IdentifierType::kDns, "a.example"}}})
                  ->authorizations.empty());
  EXPECT_TRUE(store_->certificate_get({"cert-done", "alice"})->certificate);
  EXPECT_EQ(order_status("other", "bob"), OrderStatus::kPending);
  add_order("alice", "next");  // the account goes on
}

TEST_F(KeysTest, Rekey_AtTheSameTime_HasOneWinner) {
  std::atomic<int> winners{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const auto reply = store_->account_rekey(change("alice", "alice", "new" + std::to_string(t)));
      if (reply && reply->applied) ++winners;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(store_->account_get({.id = "alice", .thumbprint = {}})->account->earlier_keys.size(),
            1u);
}

}  // namespace
}  // namespace keyward::store
