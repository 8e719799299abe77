// What happens to accounts and their proofs at a running appliance: keys changed under way, proofs
// made before an order, reused and withdrawn, names below others, changed terms, and accounts that
// a credential admits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/x509/certificate.h"
#include "tests/support/dns_server/dns_server.h"
#include "tests/system/extensions/kit.h"

namespace keyward::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kTerms1 = "https://ca.plant.example/terms-1";
constexpr const char* kTerms2 = "https://ca.plant.example/terms-2";

class AccountLife : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dns_ = new DnsServer;
    simulator_ = new Simulator(up_options(settings(kTerms1)));
    ASSERT_TRUE(simulator_->started()) << simulator_->output();
  }
  static void TearDownTestSuite() {
    delete simulator_;
    delete dns_;
  }
  static std::vector<std::string> settings(const std::string& terms,
                                           const std::vector<std::string>& more = {}) {
    std::vector<std::string> out{"acme.subdomain_auth=true",
                                 R"(acme.terms_of_service=")" + terms + "\"",
                                 R"(validation.resolver.forward=[")" + dns_->forward() + R"("])"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  static HttpReply new_authz(Client& client, const std::string& name,
                             const std::string& more = "") {
    return client.post(client.url_of("newAuthz"),
                       R"({"identifier":)" + identifier_json("dns", name, more) + "}");
  }
  static HttpReply issue(Client& client, const HttpReply& order,
                         const std::vector<std::string>& names) {
    return finalize(client, order, csr_for(fresh_key(), names));
  }

  static inline DnsServer* dns_ = nullptr;
  static inline Simulator* simulator_ = nullptr;
};

// RFC 8555 §7.3.5: what was begun goes on under the new key, whatever its state.
TEST_F(AccountLife, KeyChanged_PendingAndReadyOrdersAreFinishedWithTheNewKey) {
  Client client(*simulator_);
  client.sign_up();
  const auto pending = order_names(client, {"pending.plant.example"});
  const auto ready = order_names(client, {"ready.plant.example"});
  prove(client, *dns_, ready);
  EXPECT_EQ(text_at(client.read(ready.header("location")), "status"), "ready");

  const auto fresh = fresh_key();
  const auto changed = client.change_key(fresh);
  ASSERT_EQ(changed.status, 200) << changed.body;
  expect_problem(client.read(pending.header("location")), 400, "malformed", "jws.signature");
  client.key = fresh;
  EXPECT_EQ(text_at(issue(client, ready, {"ready.plant.example"}), "status"), "valid");
  prove(client, *dns_, pending);
  EXPECT_EQ(text_at(issue(client, pending, {"pending.plant.example"}), "status"), "valid");
  const auto again = client.new_account(R"(,"onlyReturnExisting":true)");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.header("location"), client.kid);

  // The new key may not be another account's (check 9).
  Client other(*simulator_);
  other.sign_up();
  const auto conflict = client.change_key(other.key);
  expect_problem(conflict, 409, "malformed", "key-change.conflict");
  EXPECT_EQ(conflict.header("location"), other.kid);
}

TEST_F(AccountLife, AuthorizedBeforeAnyOrder_ReusedUntilItIsDeactivated) {
  Client client(*simulator_);
  client.sign_up();
  const std::vector<std::string> names{"early.plant.example"};
  const auto authz = new_authz(client, names[0]);
  ASSERT_EQ(authz.status, 201) << authz.body;
  const auto authz_url = authz.header("location");
  prove_authz(client, *dns_, authz);

  const auto first = order_names(client, names);
  EXPECT_EQ(text_at(first, "status"), "ready") << first.body;  // nothing is left to do (§7.4.1)
  EXPECT_EQ(json_of(first).root().get("authorizations").items().at(0).string(), authz_url);
  EXPECT_EQ(text_at(issue(client, first, names), "status"), "valid");
  const auto second = order_names(client, names);
  EXPECT_EQ(text_at(second, "status"), "ready");

  const auto deactivated = client.post(authz_url, R"({"status":"deactivated"})");
  EXPECT_EQ(text_at(deactivated, "status"), "deactivated") << deactivated.body;
  // The signer has forgotten the proof too: not even the order that was ready gets a certificate.
  const auto late = issue(client, second, names);
  EXPECT_EQ(late.status, 403) << late.body;
  EXPECT_NE(text_at(client.read(second.header("location")), "status"), "valid");
  const auto third = order_names(client, names);
  EXPECT_EQ(text_at(third, "status"), "pending") << third.body;
  EXPECT_NE(json_of(third).root().get("authorizations").items().at(0).string(), authz_url);
  prove(client, *dns_, third);
  EXPECT_EQ(text_at(issue(client, third, names), "status"), "valid");

  // Another account's proofs are of no use.
  Client other(*simulator_);
  other.sign_up();
  EXPECT_EQ(text_at(order_names(other, names), "status"), "pending");
  expect_problem(other.post(authz_url, R"({"status":"deactivated"})"), 404, "malformed",
                 "not-found");
}

TEST_F(AccountLife, SubtreeAuthorized_NamesBelowNeedNoProofOfTheirOwn) {
  Client client(*simulator_);
  client.sign_up();
  const auto authz = new_authz(client, "tree.plant.example", R"(,"subdomainAuthAllowed":true)");
  ASSERT_EQ(authz.status, 201) << authz.body;
  EXPECT_TRUE(json_of(authz).root().get("subdomainAuthAllowed").boolean());
  prove_authz(client, *dns_, authz);
  const std::vector<std::string> below{"a.tree.plant.example", "b.c.tree.plant.example"};
  const auto order = order_names(client, below);
  EXPECT_EQ(text_at(order, "status"), "ready") << order.body;
  EXPECT_EQ(text_at(issue(client, order, below), "status"), "valid");
  EXPECT_EQ(text_at(order_names(client, {"tree2.plant.example"}), "status"), "pending");

  // RFC 9444 §4.2: at newOrder, by naming the ancestor.
  const auto by_ancestor = client.post(
      client.url_of("newOrder"), R"({"identifiers":[)" +
                                     identifier_json("dns", "x.wood.plant.example",
                                                     R"(,"ancestorDomain":"wood.plant.example")") +
                                     "]}");
  ASSERT_EQ(by_ancestor.status, 201) << by_ancestor.body;
  const auto one = authz_of(client, by_ancestor);
  EXPECT_EQ(json_of(one).root().get("identifier").get("value").string(), "wood.plant.example");
  prove(client, *dns_, by_ancestor);
  EXPECT_EQ(text_at(issue(client, by_ancestor, {"x.wood.plant.example"}), "status"), "valid");
}

// RFC 8555 §7.3.3; the appliance comes back with other terms.
TEST_F(AccountLife, TermsChanged_OrdersWaitForTheAgreement) {
  Client client(*simulator_);
  client.sign_up();
  const std::vector<std::string> names{"terms.plant.example"};
  EXPECT_EQ(order_names(client, names).status, 201);
  restart(*simulator_, settings(kTerms2));
  const auto refused = order_names(client, names);
  expect_problem(refused, 403, "userActionRequired", "terms.changed");
  EXPECT_THAT(refused.header("link"), HasSubstr(kTerms2));
  const auto page = text_at(refused, "instance");
  const auto shown = client.get(page);
  EXPECT_EQ(shown.status, 200);
  EXPECT_THAT(shown.body, HasSubstr(kTerms2));
  expect_problem(order_names(client, names), 403, "userActionRequired", "terms.changed");
  EXPECT_EQ(client.post_form(page, "agree=yes").status, 200);
  const auto order = order_names(client, names);
  ASSERT_EQ(order.status, 201) << order.body;
  prove(client, *dns_, order);
  EXPECT_EQ(text_at(issue(client, order, names), "status"), "valid");
}

TEST_F(AccountLife, Zz_BindingRequired_QuotaThenRevoked) {
  Client before(*simulator_);  // an account without a binding, from before
  before.sign_up();
  restart(*simulator_, settings(kTerms2, {"signer.external_account_required=true"}));
  const auto credential = add_eab(*simulator_, {"--quota", "1"});
  Client client(*simulator_);
  const auto directory = json_of(client.get(simulator_->env("KEYWARD_DIRECTORY")));
  EXPECT_TRUE(directory.root().get("meta").get("externalAccountRequired").boolean());
  expect_problem(client.new_account(), 403, "externalAccountRequired", "binding.required");
  auto wrong = credential;
  wrong.key = base64url_encode(Bytes(32, 1));
  const auto url = client.url_of("newAccount");
  const auto bound = [&](const EabCredential& by, const Client& who) {
    return R"(,"externalAccountBinding":)" + binding_json(by, who.key, url);
  };
  expect_problem(client.new_account(bound(wrong, client)), 403, "unauthorized", "eab.mac");
  // The task has the new credential within a second.
  HttpReply made;
  ASSERT_TRUE(eventually([&] {
    made = client.new_account(bound(credential, client));
    return made.status == 201;
  })) << made.body;
  client.kid = made.header("location");
  Client second(*simulator_);
  expect_problem(second.new_account(bound(credential, second)), 403, "unauthorized", "eab.used");

  const std::vector<std::string> names{"bound.plant.example"};
  ASSERT_NE(enrol(client, *dns_, names, fresh_key()), "");
  const auto beyond = order_names(client, names);
  prove(client, *dns_, beyond);
  expect_problem(issue(client, beyond, names), 429, "rateLimited", "account-quota");
  // An account that nobody admitted gets nothing.
  const auto unbound = order_names(before, {"unbound.plant.example"});
  ASSERT_EQ(unbound.status, 201) << unbound.body;
  prove(before, *dns_, unbound);
  expect_problem(issue(before, unbound, {"unbound.plant.example"}), 403, "externalAccountRequired",
                 "account-not-admitted");

  const auto revoked =
      keywardctl({"eab", "revoke", simulator_->dir() + "/state/attestation", credential.kid});
  ASSERT_EQ(revoked.status, 0) << revoked.output;
  HttpReply last;
  EXPECT_TRUE(eventually([&] {
    last = issue(client, beyond, names);
    return last.status != 429;
  }));
  expect_problem(last, 403, "unauthorized", "account-withdrawn");
  expect_problem(second.new_account(bound(credential, second)), 403, "unauthorized", "eab.revoked");
}

// One account too many: the credential has leaked.
TEST_F(AccountLife, Zz_BindingUsedTooOften_RevokedWithItsAccounts) {
  const auto credential = add_eab(*simulator_, {"--on-excess", "revoke", "--profile", "device"});
  Client first(*simulator_);
  const auto bound = [&](const Client& who) {
    return R"(,"externalAccountBinding":)" +
           binding_json(credential, who.key, who.url_of("newAccount"));
  };
  HttpReply made;
  ASSERT_TRUE(eventually([&] {
    made = first.new_account(bound(first));
    return made.status == 201;
  })) << made.body;
  first.kid = made.header("location");
  const std::vector<std::string> names{"leaked.plant.example"};
  const auto order = order_names(first, names);
  ASSERT_EQ(order.status, 201) << order.body;
  prove(first, *dns_, order);
  // Of another profile than the credential's: the order fails, the account does not.
  expect_problem(issue(first, order, names), 400, "invalidProfile", "account-profile");
  Client second(*simulator_);
  EXPECT_EQ(second.new_account(bound(second)).status, 403);
  const auto listed = keywardctl({"eab", "list", simulator_->dir() + "/state/attestation"});
  EXPECT_THAT(listed.output, HasSubstr("used by more accounts than allowed"));
  const auto after = order_names(first, {"after.plant.example"});
  ASSERT_EQ(after.status, 201) << after.body;
  prove(first, *dns_, after);
  expect_problem(issue(first, after, {"after.plant.example"}), 403, "unauthorized",
                 "account-withdrawn");
}

}  // namespace
}  // namespace keyward::test
