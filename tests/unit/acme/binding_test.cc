// Tests external account binding as acme handles it; what makes a binding good is attestation's.
#include <gtest/gtest.h>

#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::expect_problem;
using test::json_of;
using test::World;

constexpr std::string_view kBinding =
    R"({"protected":"eyJhbGciOiJIUzI1NiJ9","payload":"e30","signature":"AAAA"})";

HttpResponse new_account(Client& client, std::string_view binding) {
  return client.post("/acme/new-account",
                     R"({"externalAccountBinding":)" + std::string(binding) + "}");
}
wire::EabVerifyReply good(std::string_view kid = "kid-1") {
  wire::EabVerifyReply reply;
  reply.kid = kid;
  return reply;
}

TEST(Binding, Verified_KeptAndShown) {
  World world;
  Client client(world);
  world.attestation.answer_binding(good());
  const auto response = new_account(client, kBinding);
  EXPECT_EQ(response.status, 201) << response.body;
  EXPECT_EQ(json_of(response).root().get("externalAccountBinding").print(), kBinding);
  client.kid = test::header_of(response, "Location");
  EXPECT_EQ(json_of(client.read(client.kid)).root().get("externalAccountBinding").print(),
            kBinding);
  const auto record = world.store.account(client.account_id());
  EXPECT_EQ(record.eab_kid, "kid-1");
  const auto asked = world.attestation.last_binding();
  EXPECT_EQ(asked.url, std::string(test::kBase) + "/acme/new-account");
  EXPECT_EQ(asked.account_jwk, jose::Jwk::from_public_key(client.key().public_key())->canonical());
  EXPECT_EQ(asked.binding.payload_b64, "e30");
}

TEST(Binding, RefusedByAttestation_RefusedAndNothingMade) {
  World world;
  Client client(world);
  auto reply = good();
  reply.problem = wire::ChallengeProblem{"unauthorized", "eab.mac", "the MAC is wrong"};
  world.attestation.answer_binding(reply);
  const auto response = new_account(client, kBinding);
  expect_problem(response, 403, "unauthorized", "eab.mac");
  EXPECT_FALSE(json_of(response).root().get("externalAccountBinding").exists());
  EXPECT_EQ(world.store.accounts(), 0U);
}

TEST(Binding, NoJws_Malformed) {
  World world;
  Client client(world);
  for (const std::string binding : {"{}", "1", "\"x\"", "null", "[]"})
    expect_problem(new_account(client, binding), 400, "malformed", "binding.form");
  EXPECT_EQ(world.attestation.count("eab-verify"), 0);
  EXPECT_EQ(world.store.accounts(), 0U);
}

TEST(Binding, TooLarge_Malformed) {
  World world;
  Client client(world);
  const std::string body = R"({"protected":")" + std::string(5'800, 'a') + R"("})";
  HttpResponse response = new_account(client, body);
  EXPECT_TRUE(response.status == 413 || response.status == 400) << response.body;
  EXPECT_EQ(world.store.accounts(), 0U);
}

TEST(Binding, RequiredAndMissing_ExternalAccountRequired) {
  World world;
  Client client(world);
  world.signer.require_external_account();
  expect_problem(client.post("/acme/new-account", "{}"), 403, "externalAccountRequired",
                 "binding.required");
  EXPECT_EQ(world.store.accounts(), 0U);
  world.attestation.answer_binding(good());
  EXPECT_EQ(new_account(client, kBinding).status, 201);
  // An existing account needs none to be found.
  EXPECT_EQ(client.post("/acme/new-account", "{}").status, 200);
}

TEST(Binding, Required_SaidInTheDirectory) {
  World world;
  world.signer.require_external_account();
  world.service->set_state(ApplianceState::kLocked);
  world.service->start();
  EXPECT_TRUE(
      test::eventually([&] { return world.service->state() == ApplianceState::kOperational; }));
  HttpRequest request;
  request.method = "GET";
  request.raw_path = "/acme/directory";
  const auto document = json_of(world.service->handle(request));
  EXPECT_TRUE(document.root().get("meta").get("externalAccountRequired").boolean());
}

TEST(Binding, SignerNotAskedYetAndAway_503) {
  World world;
  Client client(world);
  world.signer.break_message("issuer-get",
                             wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "x"));
  expect_problem(client.post("/acme/new-account", "{}"), 503, "serverInternal", "peer-lost");
}

TEST(Binding, ExistingKey_BindingIgnoredAndNotUsedUp) {
  World world;
  Client client(world);
  client.register_account();
  const auto response = new_account(client, kBinding);
  EXPECT_EQ(response.status, 200);
  EXPECT_FALSE(json_of(response).root().get("externalAccountBinding").exists());
  EXPECT_EQ(world.attestation.count("eab-verify"), 0);
}

TEST(Binding, CredentialForRecovery_MakesNoAccount) {
  World world;
  Client client(world);
  auto reply = good();
  reply.recovers_account = "abc";
  world.attestation.answer_binding(reply);
  expect_problem(new_account(client, kBinding), 403, "unauthorized", "binding.recovery-only");
  EXPECT_EQ(world.store.accounts(), 0U);
}

TEST(AccountRates, MoreThanThePolicy_429ButExistingOnesAreFound) {
  World world([](ServiceConfig& config) {
    config.rates.per_hour[static_cast<std::size_t>(Rate::kAccountsPerPrefix)] = 1;
  });
  Client first(world), second(world);
  first.register_account();
  expect_problem(second.post("/acme/new-account", "{}"), 429, "rateLimited",
                 "rate.accounts-per-prefix");
  EXPECT_EQ(first.post("/acme/new-account", "{}").status, 200);
}

}  // namespace
}  // namespace keyward::acme
