// Walks the state machines of RFC 8555 §7.1.6 over HTTPS, each edge that a client can see, and tries
// the edges that must not be there. The rest (expiry, every pair of states) is in unit/acme, States.*.
#include <gmock/gmock.h>

#include "tests/support/command/command.h"
#include "tests/system/protocol/kit.h"

namespace keyward::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kDeactivated = R"({"status":"deactivated"})";

// ---- challenges: pending -> processing -> valid | invalid

TEST(ChallengeStates, PendingProcessingValid_AndNoWayBack) {
  Client client(open_stage());
  const auto name = client.fresh_name();
  const auto order = client.order_for(name);
  const auto& authz = order.authorizations.at(0);
  const auto dns_01 = client.challenge(authz, "dns-01");
  const auto http_01 = client.challenge(authz, "http-01");
  EXPECT_EQ(text_at(client.read(dns_01.url), "status"), "pending");
  client.put_txt(name, dns_01);
  // Silence for a while: the state in between is seen.
  client.stage.dns.behave("_acme-challenge." + name, DnsBehaviour::kSilent);
  const auto processing = client.post(dns_01.url, "{}");
  EXPECT_EQ(processing.status, 200);
  EXPECT_EQ(text_at(processing, "status"), "processing") << processing.body;
  EXPECT_GT(std::atoi(processing.header("retry-after").c_str()), 0);
  EXPECT_FALSE(json_of(processing).root().get("error").exists());
  EXPECT_EQ(client.status_of(authz), "pending");
  EXPECT_EQ(client.status_of(order.url), "pending");
  client.stage.dns.behave("_acme-challenge." + name, DnsBehaviour::kAnswer);
  const auto valid = client.settled(dns_01.url);
  EXPECT_EQ(text_at(valid, "status"), "valid") << valid.body;
  EXPECT_FALSE(text_at(valid, "validated").empty());

  // valid stays valid; its sister is over.
  const auto again = client.post(dns_01.url, "{}");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, valid.body);
  expect_problem(client.post(http_01.url, "{}"), 400, "malformed", "authz.final");
  EXPECT_EQ(text_at(client.read(http_01.url), "status"), "pending");
  EXPECT_EQ(client.status_of(authz), "valid");
}

TEST(ChallengeStates, Invalid_IsFinalAndSoIsItsSister) {
  Client client(open_stage());
  const auto name = client.fresh_name();
  const auto order = client.order_for(name);
  const auto dns_01 = client.challenge(order.authorizations.at(0), "dns-01");
  const auto http_01 = client.challenge(order.authorizations.at(0), "http-01");
  EXPECT_EQ(client.post(dns_01.url, "{}").status, 200);
  const auto invalid = client.settled(dns_01.url);
  EXPECT_EQ(text_at(invalid, "status"), "invalid");
  client.put_txt(name, dns_01);  // too late
  EXPECT_EQ(client.post(dns_01.url, "{}").body, invalid.body);
  EXPECT_EQ(client.settled(dns_01.url).body, invalid.body);
  expect_problem(client.post(http_01.url, "{}"), 400, "malformed", "authz.final");
  EXPECT_EQ(client.status_of(order.authorizations.at(0)), "invalid");
}

// ---- authorizations

TEST(AuthorizationStates, PendingDeactivated_TheOrderIsOver) {
  Client client(open_stage());
  const auto order = client.order_for(client.fresh_name());
  const auto& authz = order.authorizations.at(0);
  const auto dns_01 = client.challenge(authz, "dns-01");
  EXPECT_EQ(text_at(client.post(authz, kDeactivated), "status"), "deactivated");
  EXPECT_EQ(client.status_of(order.url), "invalid");
  const auto before = client.read(authz).body;
  expect_problem(client.post(authz, kDeactivated), 400, "malformed", "authz.final");
  expect_problem(client.post(authz, R"({"status":"valid"})"), 400, "malformed", "authz.form");
  expect_problem(client.post(authz, R"({"status":"pending"})"), 400, "malformed", "authz.form");
  expect_problem(client.post(dns_01.url, "{}"), 400, "malformed", "authz.final");
  EXPECT_EQ(client.read(authz).body, before);
}

TEST(AuthorizationStates, ValidDeactivated_NothingIsIssuedByIt) {
  Client client(open_stage());
  const auto order = client.ready_order();
  const auto& authz = order.authorizations.at(0);
  const auto valid = json_of(client.read(authz));
  EXPECT_EQ(valid.root().get("status").string(), "valid");
  EXPECT_FALSE(valid.root().get("expires").string().empty());
  const auto ledger = client.stage.ledger_bytes();
  EXPECT_EQ(text_at(client.post(authz, kDeactivated), "status"), "deactivated");
  EXPECT_EQ(client.status_of(order.url), "invalid");
  expect_problem(client.finalize(order), 403, "orderNotReady", "order.not-ready");
  expect_problem(client.post(authz, kDeactivated), 400, "malformed", "authz.final");
  // Nor does it serve another order.
  EXPECT_EQ(text_at(client.new_order(Client::names_payload({client.name_of(order)})), "status"),
            "pending");
  EXPECT_EQ(client.stage.ledger_bytes(), ledger);
}

TEST(AuthorizationStates, Invalid_CannotBeDeactivated) {
  Client client(open_stage());
  const auto order = client.order_for(client.fresh_name());
  const auto& authz = order.authorizations.at(0);
  const auto dns_01 = client.challenge(authz, "dns-01");
  EXPECT_EQ(client.post(dns_01.url, "{}").status, 200);
  EXPECT_EQ(text_at(client.settled(dns_01.url), "status"), "invalid");
  expect_problem(client.post(authz, kDeactivated), 400, "malformed", "authz.final");
  EXPECT_EQ(client.status_of(authz), "invalid");
}

// §7.4.1: pending before any order, and valid when the order comes.
TEST(AuthorizationStates, BeforeTheOrder_ValidAndThenReadyAtOnce) {
  Client client(open_stage());
  const auto name = client.fresh_name();
  const auto made = client.post(client.stage.url_of("newAuthz"),
                                R"({"identifier":{"type":"dns","value":")" + name + R"("}})");
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(text_at(made, "status"), "pending");
  const auto url = made.header("location");
  const auto dns_01 = client.challenge(url, "dns-01");
  client.put_txt(name, dns_01);
  EXPECT_EQ(client.post(dns_01.url, "{}").status, 200);
  EXPECT_EQ(text_at(client.settled(dns_01.url), "status"), "valid");
  const auto order = client.order_for(name);
  EXPECT_EQ(order.authorizations, std::vector<std::string>{url});
  EXPECT_EQ(text_at(client.read(order.url), "status"), "ready");
}

// ---- orders

TEST(OrderStates, PendingReadyValid_FinalizedOnceAlone) {
  Client client(open_stage());
  const auto name = client.fresh_name();
  const auto second = client.fresh_name();
  const auto order = client.order(Client::names_payload({name, second}));
  ASSERT_EQ(order.authorizations.size(), 2U);
  EXPECT_EQ(client.status_of(order.url), "pending");
  expect_problem(client.finalize(order, {name, second}), 403, "orderNotReady", "order.not-ready");
  client.prove({order.url, order.finalize, {order.authorizations[0]}, order.body});
  EXPECT_EQ(client.status_of(order.url), "pending") << "one of two is not all";
  client.prove({order.url, order.finalize, {order.authorizations[1]}, order.body});
  EXPECT_EQ(client.status_of(order.url), "ready");
  // ready -> processing -> ready: a refused CSR.
  expect_problem(client.finalize(order, {name}), 400, "badCSR", "csr-names");
  EXPECT_EQ(client.status_of(order.url), "ready");
  const auto done = client.finalize(order, {name, second});
  EXPECT_EQ(done.status, 200) << done.body;
  EXPECT_EQ(done.header("location"), order.url);
  const auto valid = client.settled(order.url);
  EXPECT_EQ(text_at(valid, "status"), "valid");

  const auto ledger = client.stage.ledger_bytes();
  expect_problem(client.finalize(order, {name, second}), 403, "orderNotReady", "order.not-ready");
  expect_problem(client.post(order.url, R"({"status":"canceled"})"), 400,
                 "autoRenewalCancellationInvalid", "star.not-cancelable");
  expect_problem(client.post(order.url, R"({"status":"invalid"})"), 400, "malformed", "order.form");
  EXPECT_EQ(client.read(order.url).body, valid.body);
  EXPECT_EQ(client.stage.ledger_bytes(), ledger);
}

TEST(OrderStates, PendingOrReady_CannotBeCanceled) {
  Client client(open_stage());
  for (const auto& order : {client.order_for(client.fresh_name()), client.ready_order()}) {
    const auto before = client.read(order.url).body;
    expect_problem(client.post(order.url, R"({"status":"canceled"})"), 400,
                   "autoRenewalCancellationInvalid", "star.not-cancelable");
    EXPECT_EQ(client.read(order.url).body, before);
  }
}

// valid -> canceled is walked in ErrorType (autoRenewalCanceled); pending -> invalid in FailedLook;
// ready -> invalid in AuthorizationStates; processing for a while in system/recovery (HsmGone).

// ---- accounts

TEST(AccountStates, ValidDeactivated_OrdersEndCertificatesStay) {
  Client client(open_stage());
  const auto certificate = client.issued();
  EXPECT_EQ(client.status_of(client.kid), "valid");
  const auto ignored = client.post(client.kid, R"({"status":"revoked","orders":"x"})");
  EXPECT_EQ(text_at(ignored, "status"), "valid");  // §7.3.2: neither is the client's to say
  const auto ledger = client.stage.ledger_bytes();
  EXPECT_EQ(text_at(client.post(client.kid, kDeactivated), "status"), "deactivated");
  expect_problem(client.post(client.kid, kDeactivated), 401, "unauthorized", "account.not-valid");
  expect_problem(client.post(client.kid, R"({"status":"valid"})"), 401, "unauthorized",
                 "account.not-valid");
  expect_problem(client.new_order(Client::names_payload({client.fresh_name()})), 401,
                 "unauthorized", "account.not-valid");
  expect_problem(client.post(client.stage.url_of("revokeCert"), revoke_payload(certificate)), 401,
                 "unauthorized", "account.not-valid");
  EXPECT_EQ(client.stage.ledger_bytes(), ledger) << "no certificate was revoked (§7.3.6)";
}

TEST(AccountStates, ValidRevokedByTheOperator_401Afterwards) {
  Client client(open_stage());
  const auto order = client.ready_order();
  const auto revoked = run_command({keyward_binary("keywardctl"), "account", "revoke",
                                    client.stage.simulator->dir() + "/state/acme", client.kid});
  ASSERT_EQ(revoked.status, 0) << revoked.output;
  EXPECT_THAT(revoked.output, HasSubstr("\"revoked\""));
  expect_problem(client.read(client.kid), 401, "unauthorized", "account.not-valid");
  expect_problem(client.finalize(order), 401, "unauthorized", "account.not-valid");
  expect_problem(client.new_account(R"({"termsOfServiceAgreed":true})"), 401, "unauthorized",
                 "account.not-valid");
}

// §7.3.1: the same key is the same account, and what the second request says is not looked at.
TEST(AccountStates, KnownKey_TheSameAccountUnchanged) {
  Client client(open_stage());
  const auto before = client.read(client.kid).body;
  const auto again = client.new_account(R"({"contact":["tel:+1"]})");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.header("location"), client.kid);
  EXPECT_EQ(again.body, before);
}

}  // namespace
}  // namespace keyward::test
