// Tests newOrder, order, authorization and certificate.
#include <gtest/gtest.h>

#include "firmware/acme/order_resources.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::expect_problem;
using test::header_of;
using test::json_of;
using test::text_at;
using test::World;

class Orders : public testing::Test {
 protected:
  void SetUp() override { client.register_account(); }
  HttpResponse order_for(std::string_view identifiers) {
    return client.post("/acme/new-order", R"({"identifiers":[)" + std::string(identifiers) + "]}");
  }
  World world;
  Client client{world};
};

TEST_F(Orders, New_201WithEverythingAClientNeeds) {
  const auto response = order_for(
      R"({"type":"dns","value":"WWW.Plant.Example"},{"type":"permanent-identifier","value":"d/1.2.3"})");
  EXPECT_EQ(response.status, 201);
  const auto document = json_of(response);
  const auto root = document.root();
  EXPECT_EQ(root.get("status").string(), "pending");
  EXPECT_NE(root.get("expires").string(), "");
  EXPECT_EQ(root.get("identifiers").items().size(), 2U);
  EXPECT_EQ(root.get("identifiers").items()[0].get("value").string(), "www.plant.example");
  EXPECT_EQ(root.get("profile").string(), "server");
  ASSERT_EQ(root.get("authorizations").items().size(), 2U);
  const auto location = header_of(response, "Location");
  EXPECT_EQ(root.get("finalize").string(), location + "/finalize");
  EXPECT_FALSE(root.get("certificate").exists());
  EXPECT_FALSE(root.get("error").exists());
  EXPECT_EQ(client.read(location).status, 200);
  const auto dns =
      json_of(client.read(std::string(root.get("authorizations").items()[0].string())));
  EXPECT_EQ(dns.root().get("challenges").items().at(0).get("type").string(), "http-01");
  EXPECT_FALSE(dns.root().get("wildcard").exists());
  const auto device =
      json_of(client.read(std::string(root.get("authorizations").items()[1].string())));
  EXPECT_EQ(device.root().get("challenges").items().at(0).get("type").string(), "device-attest-01");
  EXPECT_EQ(device.root().get("identifier").get("value").string(), "d/1.2.3");
  EXPECT_EQ(device.root().get("status").string(), "pending");
  EXPECT_NE(device.root().get("expires").string(), "");
}

TEST_F(Orders, Wildcard_RejectedWithTheNameInASubproblem) {
  const auto response = order_for(R"({"type":"dns","value":"*.plant.example"})");
  expect_problem(response, 403, "rejectedIdentifier", "identifier.wildcard");
  const auto document = json_of(response);
  const auto sub = document.root().get("subproblems").items().at(0);
  EXPECT_EQ(sub.get("identifier").get("value").string(), "*.plant.example");
  EXPECT_FALSE(document.root().get("identifier").exists());
  EXPECT_EQ(world.store.orders(), 0U);
}

TEST_F(Orders, TypesWithoutAMethod_Unsupported) {
  expect_problem(order_for(R"({"type":"TNAuthList","value":"MAigBhYENzA5Sg"})"), 400,
                 "unsupportedIdentifier", "identifier.type");
  expect_problem(order_for(R"({"type":"unheard-of","value":"x"})"), 400, "unsupportedIdentifier",
                 "identifier-unsupported");
}

TEST_F(Orders, SeveralRefused_EachNamedInASubproblem) {
  const auto alike =
      order_for(R"({"type":"dns","value":"*.a.example"},{"type":"dns","value":"*.b.example"})");
  expect_problem(alike, 403, "rejectedIdentifier", "identifier.wildcard");
  EXPECT_EQ(json_of(alike).root().get("subproblems").items().size(), 2U);
  const auto mixed = order_for(
      R"({"type":"dns","value":"*.a.example"},{"type":"TNAuthList","value":"MAigBhYENzA5Sg"})");
  expect_problem(mixed, 403, "compound", "identifiers");
  const auto document = json_of(mixed);
  const auto parts = document.root().get("subproblems").items();
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].get("type").string(), "urn:ietf:params:acme:error:rejectedIdentifier");
  EXPECT_EQ(parts[1].get("type").string(), "urn:ietf:params:acme:error:unsupportedIdentifier");
  EXPECT_EQ(parts[1].get("identifier").get("value").string(), "MAigBhYENzA5Sg");
  EXPECT_EQ(world.store.orders(), 0U);
}

TEST_F(Orders, SignersFaults_BecomeSubproblems) {
  auto failure = wire::Failure::of(wire::FailureKind::kRefused, "identifier-not-permitted", "no");
  failure.faults = {
      {{wire::IdentifierType::kDns, "a.test"}, "identifier-not-permitted", "outside"}};
  world.signer.break_message("ticket-mint", failure);
  const auto response = order_for(R"({"type":"dns","value":"a.test"})");
  expect_problem(response, 403, "rejectedIdentifier", "identifier-not-permitted");
  EXPECT_EQ(json_of(response)
                .root()
                .get("subproblems")
                .items()
                .at(0)
                .get("identifier")
                .get("value")
                .string(),
            "a.test");
}

TEST_F(Orders, ProfileGoneAtTheSigner_InvalidProfile) {
  expect_problem(
      client.post("/acme/new-order",
                  R"({"profile":"gone","identifiers":[{"type":"dns","value":"a.example"}]})"),
      400, "invalidProfile", "profile-unknown");
}

TEST_F(Orders, ProfileNewAtTheSigner_AskedForAgain) {
  EXPECT_EQ(order_for(R"({"type":"dns","value":"a.example"})").status, 201);
  world.signer.set_profiles({{"fresh", "x", {"dns"}, {"http-01"}, {}, {}}});
  EXPECT_EQ(client
                .post("/acme/new-order",
                      R"({"profile":"fresh","identifiers":[{"type":"dns","value":"a.example"}]})")
                .status,
            201);
}

TEST_F(Orders, SignerRefusals_ReachTheClientByCode) {
  const auto refused = [&](std::string_view code, wire::FailureKind kind) {
    world.signer.break_message("ticket-mint", wire::Failure::of(kind, code, "why"));
    return order_for(R"({"type":"dns","value":"a.example"})");
  };
  expect_problem(refused("profile-unknown", wire::FailureKind::kRefused), 400, "invalidProfile",
                 "profile-unknown");
  expect_problem(refused("identifier-not-permitted", wire::FailureKind::kRefused), 403,
                 "rejectedIdentifier", "identifier-not-permitted");
  expect_problem(refused("identifier-malformed", wire::FailureKind::kBadInput), 400, "malformed",
                 "identifier-malformed");
  expect_problem(refused("rate-account", wire::FailureKind::kExhausted), 429, "rateLimited",
                 "rate-account");
  expect_problem(refused("validity-not-permitted", wire::FailureKind::kRefused), 400, "malformed",
                 "validity-not-permitted");
}

TEST_F(Orders, EachPeerAway_503AndNothingStored) {
  const auto gone = wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone");
  const auto try_one = [&](std::string_view type) {
    const auto response =
        order_for(R"({"type":")" + std::string(type) + R"(","value":"a.example"})");
    expect_problem(response, 503, "serverInternal", "peer-lost");
    EXPECT_NE(header_of(response, "Retry-After"), "");
  };
  world.signer.break_message("ticket-mint", gone);
  try_one("dns");
  world.signer.heal("ticket-mint");
  world.validation.break_message("name-token-mint", gone);
  try_one("dns");
  world.attestation.break_message("device-token-mint", gone);
  try_one("permanent-identifier");
  world.validation.heal("name-token-mint");
  world.store.break_message("order-put", gone);
  try_one("dns");
  EXPECT_EQ(world.store.orders(), 0U);
  world.store.heal("order-put");
  EXPECT_EQ(order_for(R"({"type":"dns","value":"a.example"})").status, 201);
}

TEST_F(Orders, TooManyOpen_RateLimited) {
  world.store.break_message(
      "order-put", wire::Failure::of(wire::FailureKind::kExhausted, "order-limit", "many"));
  const auto response = order_for(R"({"type":"dns","value":"a.example"})");
  expect_problem(response, 429, "rateLimited", "order-limit");
  EXPECT_NE(header_of(response, "Retry-After"), "");
}

TEST_F(Orders, OfSomebodyElse_LikeUnknown) {
  const auto order = client.new_order("permanent-identifier", "device-1");
  Client other(world);
  other.register_account();
  for (const auto& url : {order.url, order.authz, order.challenge,
                          std::string(test::kBase) + "/acme/certificate/x"}) {
    expect_problem(other.read(url), 404, "malformed", "not-found");
  }
  expect_problem(other.post_url(order.challenge, R"({"attObj":"oA"})"), 404, "malformed",
                 "not-found");
  expect_problem(other.post_url(order.finalize, client.csr_payload("device-1")), 404, "malformed",
                 "not-found");
  expect_problem(other.post_url(order.authz, R"({"status":"deactivated"})"), 404, "malformed",
                 "not-found");
}

TEST_F(Orders, Expired_ShownInvalidWithAReason) {
  const auto order = client.new_order("permanent-identifier", "device-1");
  world.clock.advance(limits::kOrderLifetimeMs + 1);
  const auto response = client.read(order.url);
  EXPECT_EQ(text_at(response, "status"), "invalid");
  EXPECT_EQ(json_of(response).root().get("error").get("code").string(), "order.expired");
  EXPECT_EQ(text_at(client.read(order.authz), "status"), "expired");
  expect_problem(client.post_url(order.challenge, R"({"attObj":"oA"})"), 400, "malformed",
                 "authz.final");
}

TEST_F(Orders, ReadsWithPayload_Refused) {
  const auto order = client.new_order("permanent-identifier", "device-1");
  expect_problem(client.post_url(order.url, "{}"), 400, "malformed", "payload.not-empty");
  expect_problem(client.post("/acme/certificate/x", "{}"), 400, "malformed", "payload.not-empty");
  expect_problem(client.post("/acme/directory", "{}"), 400, "malformed", "payload.not-empty");
  expect_problem(client.post("/acme/new-nonce", "{}"), 400, "malformed", "payload.not-empty");
}

TEST_F(Orders, AuthzDeactivated_OrderInvalid) {
  const auto order = client.new_order("permanent-identifier", "device-1");
  expect_problem(client.post_url(order.authz, R"({"status":"valid"})"), 400, "malformed",
                 "authz.form");
  const auto response = client.post_url(order.authz, R"({"status":"deactivated"})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(text_at(response, "status"), "deactivated");
  EXPECT_EQ(client.status_of(order), "invalid");
  expect_problem(client.post_url(order.authz, R"({"status":"deactivated"})"), 400, "malformed",
                 "authz.final");
}

}  // namespace
}  // namespace keyward::acme
