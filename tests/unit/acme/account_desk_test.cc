// Tests what the operator does to accounts at the unit.
#include "firmware/acme/account_desk.h"

#include <gtest/gtest.h>

#include "firmware/operate/order.h"
#include "hal/base/file.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::expect_problem;
using test::World;

class Desk : public testing::Test {
 protected:
  Desk() {
    client.register_account();
    world.service->start();
    folder = world.dir.path() + "/" + std::string(kAccountsFolder);
    EXPECT_TRUE(make_directories(folder, 0700));
  }
  AccountResult ask(AccountAction action, const std::string& account, std::string jwk = {},
                    std::string order = {}) {
    requests.push_back(
        {"r" + std::to_string(requests.size()), action, account, std::move(jwk), std::move(order)});
    EXPECT_TRUE(replace_file(folder + "/" + std::string(kRequestsFile),
                             to_bytes(requests_json(requests)), 0600));
    AccountResult out;
    EXPECT_TRUE(test::eventually([&] {
      const auto text = read_file(folder + "/" + std::string(kResultsFile), 262'144);
      const auto results = text ? parse_results(*text) : Result<std::vector<AccountResult>>();
      if (!results) return false;
      for (const auto& result : *results) {
        if (result.id == requests.back().id) out = result;
      }
      return !out.id.empty();
    }));
    return out;
  }
  std::optional<operate::Operators> operators;  // in force after a restart
  World world{[this](ServiceConfig& config) { config.operators = operators; }};
  Client client{world};
  std::string folder;
  std::vector<AccountRequest> requests;
};

TEST_F(Desk, Show_WhatIsKnown) {
  const auto result = ask(AccountAction::kShow, client.account_id());
  EXPECT_TRUE(result.done) << result.code;
  const auto document = json::Document::parse(result.account_json);
  EXPECT_EQ(document->root().get("status").string(), "valid");
  EXPECT_EQ(document->root().get("url").string(), client.kid);
}

TEST_F(Desk, Revoke_EverythingAfterwards401) {
  EXPECT_TRUE(ask(AccountAction::kRevoke, client.account_id()).done);
  expect_problem(client.read(client.kid), 401, "unauthorized", "account.not-valid");
  expect_problem(client.post("/acme/new-account", "{}"), 401, "unauthorized", "account.not-valid");
}

TEST_F(Desk, Rekey_TheNewKeyHasTheAccountAndOrdersEnd) {
  Client fresh(world);
  const auto jwk = jose::Jwk::from_public_key(fresh.key().public_key())->canonical();
  EXPECT_TRUE(ask(AccountAction::kRekey, client.account_id(), jwk).done);
  EXPECT_TRUE(world.store.ended_orders_of(client.account_id()));
  fresh.kid = client.kid;
  EXPECT_EQ(fresh.read(client.kid).status, 200);
  expect_problem(client.read(client.kid), 400, "malformed", "jws.signature");
  EXPECT_TRUE(ask(AccountAction::kRekey, client.account_id(), jwk).done);  // once more: the same
  EXPECT_EQ(world.store.count("account-rekey"), 1);
}

TEST_F(Desk, Refused_EachReason) {
  EXPECT_EQ(ask(AccountAction::kShow, "nobody").code, "account-unknown");
  EXPECT_EQ(ask(AccountAction::kRekey, client.account_id(), R"({"kty":"x"})").code, "jwk");
  Client other(world);
  other.register_account();
  const auto jwk = jose::Jwk::from_public_key(other.key().public_key())->canonical();
  EXPECT_EQ(ask(AccountAction::kRekey, client.account_id(), jwk).code, "key-in-use");
}

TEST_F(Desk, WhereThereAreOperators_OnlyTheirSignedOrderCounts) {
  const auto ann = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  operators = *operate::Operators::parse(
      R"({"version":1,"unit":"unit7","operators":[{"name":"ann","jwk":)" +
      jose::Jwk::from_public_key(ann.public_key())->canonical() + R"(,"roles":["account"]}]})");
  world.restart();
  world.service->start();
  Client fresh(world), other(world);
  const auto jwk_of = [](const Client& c) {
    return jose::Jwk::from_public_key(c.key().public_key())->canonical();
  };
  const auto thumbprint = jose::Jwk::from_public_key(client.key().public_key())->thumbprint_text();
  operate::OrderHead head{"account-rekey", "unit7", {7}, world.clock.utc_ms() / 1'000 * 1'000, 0,
                          "lost"};
  head.expires_ms = head.issued_ms + 60'000;
  const auto order =
      *operate::sign_order(ann, operate::order_payload(head, R"("thumbprint":")" + thumbprint +
                                                                 R"(","jwk":)" + jwk_of(fresh)));
  EXPECT_EQ(ask(AccountAction::kRekey, client.account_id(), jwk_of(fresh)).code, "order-required");
  EXPECT_EQ(ask(AccountAction::kRevoke, client.account_id()).code, "order-required");
  EXPECT_TRUE(ask(AccountAction::kShow, client.account_id()).done);
  EXPECT_EQ(ask(AccountAction::kRevoke, client.account_id(), {}, order).code, "order-not-here");
  EXPECT_EQ(ask(AccountAction::kRekey, client.account_id(), jwk_of(other), order).code,
            "order-account");
  auto forged = order;
  auto& digit = forged[forged.find("signature") + 14];
  digit = digit == 'A' ? 'B' : 'A';
  EXPECT_EQ(ask(AccountAction::kRekey, client.account_id(), jwk_of(fresh), forged).code,
            "order-signature");
  EXPECT_EQ(world.store.count("account-rekey"), 0);
  EXPECT_TRUE(ask(AccountAction::kRekey, client.account_id(), jwk_of(fresh), order).done);
  EXPECT_EQ(world.store.count("account-rekey"), 1);
}

TEST_F(Desk, AfterARestart_NothingIsDoneTwice) {
  EXPECT_TRUE(ask(AccountAction::kRevoke, client.account_id()).done);
  const int before = world.store.count("account-update");
  world.restart();
  world.service->start();
  EXPECT_TRUE(ask(AccountAction::kShow, client.account_id()).done);
  EXPECT_EQ(world.store.count("account-update"), before);
}

TEST_F(Desk, StoreAway_TriedAgain) {
  world.store.break_message("account-update",
                            wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "x"));
  const int before = world.store.count("account-update");
  std::thread heal([&] {
    world.store.wait_for("account-update", before + 1);
    world.store.heal("account-update");
  });
  EXPECT_TRUE(ask(AccountAction::kRevoke, client.account_id()).done);
  heal.join();
}

TEST(AccountRequests, Files_ReadBackAndRefuseWhatIsWrong) {
  const auto text = requests_json({{"a", AccountAction::kRekey, "b", R"({"kty":"EC"})"}});
  const auto back = parse_requests(to_bytes(text));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->at(0).jwk, R"({"kty":"EC"})");
  for (const std::string_view bad :
       {"", "{}", R"({"requests":[{"id":"a","action":"burn","account":"b"}]})",
        R"({"requests":[{"id":"","action":"show","account":"b"}]})",
        R"({"requests":[{"id":"a","action":"show"}]})",
        R"({"requests":[{"id":"a","action":"rekey","account":"b"}]})"}) {
    EXPECT_FALSE(parse_requests(to_bytes(bad))) << bad;
  }
}

}  // namespace
}  // namespace keyward::acme
