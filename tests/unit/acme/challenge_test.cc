// Tests challenges: device-attest-01 synchronously, http-01 in the background.
#include <gtest/gtest.h>

#include "firmware/acme/challenge_resources.h"
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme {
namespace {

using test::Client;
using test::eventually;
using test::expect_problem;
using test::header_of;
using test::json_of;
using test::text_at;
using test::World;

class Challenges : public testing::Test {
 protected:
  void SetUp() override { client.register_account(); }
  std::string challenge_status(const Client::Order& order) {
    return text_at(client.read(order.challenge), "status");
  }
  World world;
  Client client{world};
};

TEST_F(Challenges, Device_Good_ValidAtOnce) {
  const auto order = client.new_order("permanent-identifier", "device-1");
  const auto response =
      client.post_url(order.challenge, R"({"attObj":"o2NmbXRjdHBt","ignored":true})");
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(text_at(response, "status"), "valid");
  EXPECT_NE(text_at(response, "validated"), "");
  EXPECT_TRUE(test::has_link(response, order.authz + ">;rel=\"up\""));
  EXPECT_EQ(text_at(client.read(order.authz), "status"), "valid");
  EXPECT_EQ(client.status_of(order), "ready");
  const auto seen = world.attestation.last();
  EXPECT_EQ(seen.ticket, order.ticket);
  EXPECT_EQ(seen.identifier.value, "device-1");
  EXPECT_EQ(seen.attestation_object, *base64url_decode("o2NmbXRjdHBt"));
  EXPECT_EQ(seen.token, text_at(client.read(order.challenge), "token"));
  EXPECT_EQ(seen.thumbprint, jose::Jwk::from_public_key(client.key().public_key())->thumbprint());
  EXPECT_EQ(world.store.order(order.ticket).expires_at_ms, seen.expires_at_ms);
}

TEST_F(Challenges, Device_Refused_HttpErrorAndEverythingInvalid) {
  const auto order = client.new_order("permanent-identifier", "device-1");
  world.attestation.answer(
      wire::ChallengeProblem{"badAttestationStatement", "tpm.extra-data", "extraData is not ours"});
  const auto response = client.post_url(order.challenge, R"({"attObj":"oA"})");
  expect_problem(response, 400, "badAttestationStatement", "tpm.extra-data");
  EXPECT_EQ(text_at(response, "detail"), "extraData is not ours");
  const auto challenge = client.read(order.challenge);
  EXPECT_EQ(text_at(challenge, "status"), "invalid");
  EXPECT_EQ(json_of(challenge).root().get("error").get("code").string(), "tpm.extra-data");
  EXPECT_EQ(text_at(client.read(order.authz), "status"), "invalid");
  EXPECT_EQ(client.status_of(order), "invalid");
  // Final: a second attempt shows what is, and asks nobody.
  const int asked = world.attestation.count("device-verify");
  EXPECT_EQ(text_at(client.post_url(order.challenge, R"({"attObj":"oA"})"), "status"), "invalid");
  EXPECT_EQ(world.attestation.count("device-verify"), asked);
}

TEST_F(Challenges, Device_MalformedPayload_StaysPending) {
  const auto order = client.new_order("permanent-identifier", "device-1");
  expect_problem(client.post_url(order.challenge, "{}"), 400, "malformed", "attobj.missing");
  expect_problem(client.post_url(order.challenge, R"({"attObj":1})"), 400, "malformed",
                 "attobj.missing");
  expect_problem(client.post_url(order.challenge, R"({"attObj":""})"), 400, "malformed",
                 "attobj.encoding");
  expect_problem(client.post_url(order.challenge, R"({"attObj":"oA=="})"), 400, "malformed",
                 "attobj.encoding");
  expect_problem(client.post_url(order.challenge, R"({"attObj":"o+A"})"), 400, "malformed",
                 "attobj.encoding");
  const std::string big = base64url_encode(Bytes(limits::kAttestationObjectBytesMax + 1));
  expect_problem(client.post_url(order.challenge, R"({"attObj":")" + big + R"("})"), 400,
                 "malformed", "attobj.size");
  expect_problem(client.post_url(order.challenge, "nonsense"), 400, "malformed", "payload.json");
  EXPECT_EQ(challenge_status(order), "pending");
  EXPECT_EQ(world.attestation.count("device-verify"), 0);
}

TEST_F(Challenges, Read_NeverTriggers) {
  const auto device = client.new_order("permanent-identifier", "device-1");
  const auto name = client.new_order("dns", "a.example");
  EXPECT_EQ(challenge_status(device), "pending");
  EXPECT_EQ(challenge_status(name), "pending");
  EXPECT_EQ(world.attestation.count("device-verify"), 0);
  EXPECT_EQ(world.validation.count("name-validate"), 0);
}

TEST_F(Challenges, Device_AttestationAway_503AndPendingThenGood) {
  const auto order = client.new_order("permanent-identifier", "device-1");
  world.attestation.break_message(
      "device-verify", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  const auto response = client.post_url(order.challenge, R"({"attObj":"oA"})");
  expect_problem(response, 503, "serverInternal", "peer-lost");
  EXPECT_NE(header_of(response, "Retry-After"), "");
  EXPECT_EQ(challenge_status(order), "pending");
  world.attestation.heal("device-verify");
  EXPECT_EQ(text_at(client.post_url(order.challenge, R"({"attObj":"oA"})"), "status"), "valid");
}

TEST_F(Challenges, Device_StoreAwayAfterwards_503AndPendingThenGood) {
  const auto order = client.new_order("permanent-identifier", "device-1");
  world.store.break_message(
      "challenge-update", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  expect_problem(client.post_url(order.challenge, R"({"attObj":"oA"})"), 503, "serverInternal",
                 "peer-lost");
  world.store.heal("challenge-update");
  EXPECT_EQ(text_at(client.post_url(order.challenge, R"({"attObj":"oA"})"), "status"), "valid");
}

TEST_F(Challenges, Http_Quick_ValidInTheSameAnswer) {
  const auto order = client.new_order("dns", "a.example");
  const auto response = client.post_url(order.challenge, "{}");
  EXPECT_EQ(response.status, 200);
  // The fake answers in microseconds; a machine under load may still say "processing".
  EXPECT_TRUE(eventually([&] { return challenge_status(order) == "valid"; }));
  EXPECT_EQ(client.status_of(order), "ready");
  const auto seen = world.validation.last();
  EXPECT_EQ(seen.identifier.value, "a.example");
  EXPECT_EQ(seen.method, wire::ValidationMethod::kHttp01);
  EXPECT_EQ(seen.ticket, order.ticket);
  EXPECT_EQ(seen.token, text_at(client.read(order.challenge), "token"));
}

TEST_F(Challenges, Http_Slow_ProcessingWithRetryAfterAndLaterValid) {
  const auto order = client.new_order("dns", "a.example");
  world.validation.hold();
  const auto response = client.post_url(order.challenge, "{}");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(text_at(response, "status"), "processing");
  EXPECT_NE(header_of(response, "Retry-After"), "");
  EXPECT_FALSE(json_of(response).root().get("error").exists());
  // Asking again neither restarts nor doubles it.
  EXPECT_EQ(text_at(client.post_url(order.challenge, "{}"), "status"), "processing");
  EXPECT_EQ(world.validation.count("name-validate"), 1);
  world.validation.release();
  EXPECT_TRUE(eventually([&] { return client.status_of(order) == "ready"; }));
  EXPECT_EQ(world.validation.count("name-validate"), 1);
}

TEST_F(Challenges, Http_Refused_InvalidWithTheReason) {
  const auto order = client.new_order("dns", "a.example");
  world.validation.answer(
      wire::ChallengeProblem{"connection", "http.refused", "nobody listens on port 80"});
  EXPECT_EQ(client.post_url(order.challenge, "{}").status, 200);
  EXPECT_TRUE(eventually([&] { return challenge_status(order) == "invalid"; }));
  const auto challenge = json_of(client.read(order.challenge));
  EXPECT_EQ(challenge.root().get("error").get("type").string(),
            "urn:ietf:params:acme:error:connection");
  EXPECT_EQ(client.status_of(order), "invalid");
}

TEST_F(Challenges, Http_ValidationAway_StaysProcessingAndThenValid) {
  const auto order = client.new_order("dns", "a.example");
  world.validation.break_message(
      "name-validate", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  EXPECT_EQ(text_at(client.post_url(order.challenge, "{}"), "status"), "processing");
  EXPECT_TRUE(world.validation.wait_for("name-validate", 2));
  EXPECT_EQ(challenge_status(order), "processing");
  world.validation.heal("name-validate");
  EXPECT_TRUE(eventually([&] { return challenge_status(order) == "valid"; }));
}

TEST_F(Challenges, Http_TaskRestarted_WorkListTakesItUp) {
  const auto order = client.new_order("dns", "a.example");
  world.validation.break_message(
      "name-validate", wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone"));
  EXPECT_EQ(text_at(client.post_url(order.challenge, "{}"), "status"), "processing");
  world.restart();
  world.validation.heal("name-validate");
  EXPECT_EQ(challenge_status(order),
            "processing");  // and this read itself would take it up, were there no start()
  world.service->start();
  EXPECT_TRUE(eventually([&] { return challenge_status(order) == "valid"; }));
}

TEST_F(Challenges, UnknownChallengeOfOwnAuthz_NotFound) {
  const auto order = client.new_order("dns", "a.example");
  expect_problem(client.read(order.challenge.substr(0, order.challenge.rfind('/')) + "/other"), 404,
                 "malformed", "not-found");
}

}  // namespace
}  // namespace keyward::acme
