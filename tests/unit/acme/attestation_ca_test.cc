// Tests the resources of the attestation CA: who may use them, what is handed on, what is answered.
#include "tests/unit/acme/bench_service.h"

namespace keyward::acme::test {
namespace {

constexpr std::string_view kBegin = "/acme/attestation-ca/begin";
constexpr std::string_view kActivate = "/acme/attestation-ca/activate";
constexpr std::string_view kPayload = R"({"session":"c2Vzc2lvbg","secret":"c2VjcmV0"})";

struct AttestationCaTest : testing::Test {
  explicit AttestationCaTest(std::function<void(ServiceConfig&)> configure = {})
      : world(std::move(configure)) {
    world.signer.set_profiles({{"server", "a server", {"dns"}, {"http-01"}, {}, {}},
                               {"ak", "a TPM's key", {}, {"attestation-ca"}, {}, {}}});
    EXPECT_TRUE(world.service->refresh_profiles());
    client.register_account();
  }
  HttpResponse get(std::string_view path) {
    HttpRequest request;
    request.method = "GET";
    request.raw_path = path;
    return world.service->handle(request);
  }
  World world;
  Client client{world};
};

TEST_F(AttestationCaTest, Directory_ProfileOfThatKind_NamesBothAndHidesTheProfile) {
  const auto document = json_of(get("/acme/directory"));
  const auto meta = document.root().get("meta");
  EXPECT_EQ(meta.get("attestationCa").get("begin").string(),
            std::string(kBase) + std::string(kBegin));
  EXPECT_EQ(meta.get("attestationCa").get("activate").string(),
            std::string(kBase) + std::string(kActivate));
  EXPECT_TRUE(meta.get("profiles").get("server").exists());
  EXPECT_FALSE(meta.get("profiles").get("ak").exists());
}

TEST_F(AttestationCaTest, Routes_NoSuchProfile_NotFoundAndNotInTheDirectory) {
  world.signer.set_profiles({{"server", "a server", {"dns"}, {"http-01"}, {}, {}}});
  ASSERT_TRUE(world.service->refresh_profiles());
  expect_problem(client.post(std::string(kBegin), "{}"), 404, "malformed", "not-found");
  expect_problem(client.post(std::string(kActivate), "{}"), 404, "malformed", "not-found");
  const auto document = json_of(get("/acme/directory"));
  EXPECT_FALSE(document.root().get("meta").get("attestationCa").exists());
}

TEST_F(AttestationCaTest, Begin_WholePayload_IsHandedOnAndTheAnswerComesBack) {
  const std::string payload = R"({ "ekCertificate":"MA", "akPublic":"AA" })";
  const auto response = client.post(std::string(kBegin), payload);
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(header_of(response, "Content-Type"), "application/json");
  EXPECT_EQ(text_at(response, "session"), "c2Vzc2lvbg");
  const auto asked = world.attestation.ak_begin();
  EXPECT_EQ(text_of(asked.payload), payload);
  EXPECT_EQ(asked.thumbprint, world.store.account(client.account_id()).thumbprint);
}

TEST_F(AttestationCaTest, Begin_AttestationRefuses_ProblemWithItsCode) {
  world.attestation.answer(
      wire::ChallengeProblem{"badAttestationStatement", "ek.unknown-ca", "no root"});
  expect_problem(client.post(std::string(kBegin), "{}"), 400, "badAttestationStatement",
                 "ek.unknown-ca");
}

TEST_F(AttestationCaTest, Begin_NoJsonObject_Malformed) {
  expect_problem(client.post(std::string(kBegin), "[]"), 400, "malformed", "payload.object");
  EXPECT_EQ(world.attestation.count("ak-begin"), 0);
}

TEST_F(AttestationCaTest, Activate_Good_SignerGetsTheClientsOwnRequest) {
  const auto response = client.post(std::string(kActivate), std::string(kPayload));
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(header_of(response, "Content-Type"), "application/pem-certificate-chain");
  EXPECT_TRUE(response.body.starts_with("-----BEGIN CERTIFICATE-----"));
  const auto asked = world.signer.ak_issue();
  EXPECT_EQ(asked.account_jwk, world.store.account(client.account_id()).jwk);
  EXPECT_EQ(text_of(*base64url_decode(asked.jws.payload_b64)), kPayload);
  EXPECT_EQ(text_of(world.attestation.ak_activate().payload), kPayload);
}

TEST_F(AttestationCaTest, Activate_Again_SameCertificate) {
  const auto first = client.post(std::string(kActivate), std::string(kPayload));
  const auto second = client.post(std::string(kActivate), std::string(kPayload));
  ASSERT_EQ(second.status, 200);
  EXPECT_EQ(first.body, second.body);
}

TEST_F(AttestationCaTest, Activate_AttestationRefuses_SignerIsNotAsked) {
  world.attestation.answer(
      wire::ChallengeProblem{"badAttestationStatement", "ak.credential", "another secret"});
  expect_problem(client.post(std::string(kActivate), std::string(kPayload)), 400,
                 "badAttestationStatement", "ak.credential");
  EXPECT_EQ(world.signer.count("ak-issue"), 0);
}

// The answer was lost, and the session ended meanwhile: the signer has the certificate.
TEST_F(AttestationCaTest, Activate_AgainAfterTheSessionsEnd_SameCertificate) {
  const auto first = client.post(std::string(kActivate), std::string(kPayload));
  ASSERT_EQ(first.status, 200) << first.body;
  world.attestation.answer(wire::ChallengeProblem{"unauthorized", "session.expired", "begin anew"});
  const auto second = client.post(std::string(kActivate), std::string(kPayload));
  ASSERT_EQ(second.status, 200) << second.body;
  EXPECT_EQ(first.body, second.body);
}

TEST_F(AttestationCaTest, Activate_SessionEndedAndNothingWasIssued_SaysThatItEnded) {
  world.attestation.answer(wire::ChallengeProblem{"unauthorized", "session.expired", "begin anew"});
  world.signer.break_message("ak-issue",
                             failure(wire::FailureKind::kRefused, "ak-grant-missing").value());
  expect_problem(client.post(std::string(kActivate), std::string(kPayload)), 403, "unauthorized",
                 "session.expired");
}

TEST_F(AttestationCaTest, Activate_SessionEndedAndTheSignerIsAway_MayComeBack) {
  world.attestation.answer(wire::ChallengeProblem{"unauthorized", "session.expired", "begin anew"});
  world.signer.break_message("ak-issue",
                             failure(wire::FailureKind::kUnavailable, "peer-lost").value());
  expect_problem(client.post(std::string(kActivate), std::string(kPayload)), 503, "serverInternal",
                 "peer-lost");
}

TEST_F(AttestationCaTest, Activate_SignerRefuses_ItsCode) {
  world.signer.break_message("ak-issue",
                             failure(wire::FailureKind::kRefused, "ak-grant-missing").value());
  expect_problem(client.post(std::string(kActivate), std::string(kPayload)), 403, "unauthorized",
                 "ak-grant-missing");
}

TEST_F(AttestationCaTest, Activate_SignerAway_MayComeBack) {
  world.signer.break_message("ak-issue",
                             failure(wire::FailureKind::kUnavailable, "peer-lost").value());
  const auto response = client.post(std::string(kActivate), std::string(kPayload));
  expect_problem(response, 503, "serverInternal", "peer-lost");
  EXPECT_NE(header_of(response, "Retry-After"), "");
}

struct BoundedAttestationCaTest : AttestationCaTest {
  BoundedAttestationCaTest()
      : AttestationCaTest([](ServiceConfig& config) {
          config.rates.per_hour[static_cast<std::size_t>(Rate::kOrdersPerAccount)] = 2;
        }) {}
};
TEST_F(BoundedAttestationCaTest, Both_TooOften_RateLimited) {
  EXPECT_EQ(client.post(std::string(kBegin), "{}").status, 200);
  EXPECT_EQ(client.post(std::string(kActivate), std::string(kPayload)).status, 200);
  expect_problem(client.post(std::string(kBegin), "{}"), 429, "rateLimited",
                 "rate.orders-per-account");
  expect_problem(client.post(std::string(kActivate), std::string(kPayload)), 429, "rateLimited",
                 "rate.orders-per-account");
}

}  // namespace
}  // namespace keyward::acme::test
