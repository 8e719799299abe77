// Tests remote-attest-01 (draft-ietf-acme-rats): authorizations beside the names', what a challenge
// shows, answers judged in the background, and other verifiers.
#include <gtest/gtest.h>

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

constexpr std::string_view kAnswer = R"({"cmw":["application/eat+cwt","I0faVQ"]})";

wire::Failure peer_lost() {
  return wire::Failure::of(wire::FailureKind::kUnavailable, "peer-lost", "gone");
}

class RemoteAttestation : public testing::Test {
 protected:
  void SetUp() override {
    use_hints({"measured_boot"});
    client.register_account();
  }
  void use_hints(std::vector<std::string> hints) {
    wire::ProfileInfo profile{"server", "x", {"dns", "permanent-identifier"}, {"http-01"}, {}, {}};
    profile.attestations = std::move(hints);
    world.signer.set_profiles({profile});
  }
  HttpResponse post_order(const std::string& identifiers) {
    return client.post("/acme/new-order", R"({"identifiers":[)" + identifiers + "]}");
  }
  // An order for a name, and what its authorizations are.
  struct Order {
    std::string url, ticket, name_authz, authz, challenge;
  };
  Order new_order(const std::string& identifiers = R"({"type":"dns","value":"a.example"})") {
    const auto response = post_order(identifiers);
    EXPECT_EQ(response.status, 201) << response.body;
    Order order;
    order.url = header_of(response, "Location");
    order.ticket = order.url.substr(order.url.rfind('/') + 1);
    const auto document = json_of(response);
    const auto urls = document.root().get("authorizations").items();
    EXPECT_EQ(urls.size(), 2U);
    order.name_authz = std::string(urls.at(0).string());
    order.authz = std::string(urls.at(1).string());
    order.challenge = challenge_of(order.authz);
    return order;
  }
  std::string challenge_of(const std::string& authz) {
    return std::string(
        json_of(client.read(authz)).root().get("challenges").items().at(0).get("url").string());
  }
  std::string challenge_status(const Order& order) {
    return text_at(client.read(order.challenge), "status");
  }
  std::string error_code(const Order& order) {
    return std::string(
        json_of(client.read(order.challenge)).root().get("error").get("code").string());
  }
  bool becomes(const Order& order, const std::string& status) {
    return eventually([&] { return challenge_status(order) == status; });
  }
  World world{[](ServiceConfig& config) { config.relay_patience_ms = 60'000; }};
  Client client{world};
};

// ---- orders

TEST_F(RemoteAttestation, NewOrder_ProfileWithHint_OneMoreAuthorization) {
  const auto order = new_order();
  const auto authz = json_of(client.read(order.authz));
  EXPECT_EQ(authz.root().get("identifier").get("type").string(), "remote-attestation");
  EXPECT_EQ(authz.root().get("identifier").get("value").string(), "measured_boot");
  EXPECT_EQ(authz.root().get("challenges").items().size(), 1U);
  // What the client asked for, and nothing that the profile added (D-R4).
  const auto shown = json_of(client.read(order.url)).root().get("identifiers").print();
  EXPECT_EQ(shown, R"([{"type":"dns","value":"a.example"}])");
  const auto minted = world.attestation.minted();
  ASSERT_EQ(minted.size(), 1U);
  EXPECT_EQ(minted[0].identifier.type, wire::IdentifierType::kRemoteAttestation);
  EXPECT_EQ(minted[0].identifier.value, "measured_boot");
  EXPECT_EQ(minted[0].method, wire::ValidationMethod::kRemoteAttest01);
  EXPECT_EQ(minted[0].profile, "server");
  EXPECT_EQ(minted[0].ticket, order.ticket);  // for this order alone (D-A9)
}

TEST_F(RemoteAttestation, NewOrder_HintOfferedInAnotherSpelling_ShownAsWritten) {
  const auto order = new_order(
      R"({"type":"dns","value":"a.example"},{"type":"remote-attestation","value":"measured-boot"})");
  const auto authz = json_of(client.read(order.authz));
  EXPECT_EQ(authz.root().get("identifier").get("value").string(), "measured-boot");
  const auto document = json_of(client.read(order.url));
  const auto shown = document.root().get("identifiers").items();
  ASSERT_EQ(shown.size(), 2U);
  EXPECT_EQ(shown[1].get("value").string(), "measured-boot");
  EXPECT_EQ(world.attestation.minted().at(0).identifier.value, "measured_boot");
  client.post_url(order.challenge, std::string(kAnswer));
  EXPECT_TRUE(becomes(order, "valid"));
  EXPECT_EQ(world.attestation.remote().identifier.value, "measured_boot");
}

TEST_F(RemoteAttestation, NewOrder_OfferedButNotAskedFor_NoAuthorization) {
  use_hints({});
  const auto response = post_order(
      R"({"type":"dns","value":"a.example"},{"type":"remote-attestation","value":"fido2"})");
  ASSERT_EQ(response.status, 201) << response.body;
  const auto document = json_of(response);
  EXPECT_EQ(document.root().get("authorizations").items().size(), 1U);
  EXPECT_EQ(document.root().get("identifiers").items().size(), 2U);
  EXPECT_EQ(world.attestation.count("device-token-mint"), 0);
}

TEST_F(RemoteAttestation, NewOrder_AttestationsAlone_Rejected) {
  expect_problem(post_order(R"({"type":"remote-attestation","value":"measured_boot"})"), 403,
                 "rejectedIdentifier", "identifier.attestation-alone");
  // The real signer refuses such an order too, but by its profile: it must not be asked first.
  EXPECT_EQ(world.signer.count("ticket-mint"), 0);
}

TEST_F(RemoteAttestation, NewOrder_MoreAuthorizationsThanOneMayHave_Rejected) {
  std::string names;
  for (std::size_t i = 0; i < limits::kIdentifiersPerOrderMax; ++i) {
    names += (i == 0 ? "" : ",") + std::string(R"({"type":"dns","value":"h)") + std::to_string(i) +
             R"(.example"})";
  }
  expect_problem(post_order(names), 403, "rejectedIdentifier", "order.authorizations");
  EXPECT_EQ(world.attestation.count("device-token-mint"), 0);
}

TEST_F(RemoteAttestation, NewOrder_HintWithoutPolicy_InstallationsFault) {
  use_hints({"unserved"});
  expect_problem(post_order(R"({"type":"dns","value":"a.example"})"), 500, "serverInternal",
                 "hint-not-served");
}

TEST_F(RemoteAttestation, NewOrder_TheSameNameAgain_AttestedAgain) {
  const auto first = new_order();
  client.post_url(challenge_of(first.name_authz), "{}");
  client.post_url(first.challenge, std::string(kAnswer));
  EXPECT_TRUE(eventually([&] { return text_at(client.read(first.url), "status") == "ready"; }));
  const auto second = new_order();
  EXPECT_NE(second.authz, first.authz);
  EXPECT_EQ(text_at(client.read(second.url), "status"), "pending");
}

// ---- what a challenge shows

TEST_F(RemoteAttestation, Challenge_ShowsNonceHintsAndKey) {
  world.attestation.claims_hint = {"hwmodel", "swversion"};
  world.attestation.evidence_kid = "key-1";
  const auto order = new_order();
  const auto document = json_of(client.read(order.challenge));
  const auto root = document.root();
  EXPECT_EQ(root.get("type").string(), "remote-attest-01");
  EXPECT_EQ(root.get("status").string(), "pending");
  EXPECT_FALSE(root.get("token").string().empty());
  EXPECT_EQ(root.get("freshness_nonce").string(), root.get("token").string());
  EXPECT_EQ(root.get("attestClaimsHint").print(), R"(["hwmodel","swversion"])");
  EXPECT_EQ(root.get("verifierEncryptionCredential").string(),
            "https://ca.test:14000/acme/evidence-key/key-1");
}

TEST_F(RemoteAttestation, Challenge_WithoutHintsAndKey_NonceAlone) {
  const auto order = new_order();
  const auto document = json_of(client.read(order.challenge));
  EXPECT_TRUE(document.root().get("freshness_nonce").exists());
  EXPECT_FALSE(document.root().get("attestClaimsHint").exists());
  EXPECT_FALSE(document.root().get("verifierEncryptionCredential").exists());
}

TEST_F(RemoteAttestation, EvidenceKey_Known_JwkThatMayBeKept) {
  world.attestation.evidence_kid = "key-1";
  HttpRequest request;
  request.method = "GET";
  request.raw_path = "/acme/evidence-key/key-1";
  auto response = world.service->handle(request);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(header_of(response, "Content-Type"), "application/jwk+json");
  EXPECT_EQ(header_of(response, "Cache-Control"), "public, max-age=3600");
  EXPECT_EQ(header_of(response, "Replay-Nonce"), "");
  EXPECT_EQ(text_at(response, "kid"), "key-1");
  request.method = "HEAD";
  response = world.service->handle(request);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "");
}

TEST_F(RemoteAttestation, EvidenceKey_UnknownOrAttestationAway_404And503) {
  HttpRequest request;
  request.method = "GET";
  request.raw_path = "/acme/evidence-key/other";
  expect_problem(world.service->handle(request), 404, "malformed", "not-found");
  world.attestation.break_message("evidence-key-get", peer_lost());
  expect_problem(world.service->handle(request), 503, "serverInternal", "peer-lost");
}

// ---- answers

TEST_F(RemoteAttestation, Answer_Good_ValidWithTheWholePayloadAppraised) {
  const auto order = new_order();
  const auto response = client.post_url(order.challenge, std::string(kAnswer));
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_TRUE(becomes(order, "valid"));
  const auto seen = world.attestation.remote();
  EXPECT_EQ(text_of(seen.payload), kAnswer);
  EXPECT_EQ(seen.profile, "server");
  EXPECT_EQ(seen.ticket, order.ticket);
  EXPECT_EQ(seen.token, text_at(client.read(order.challenge), "token"));
  EXPECT_EQ(seen.thumbprint, jose::Jwk::from_public_key(client.key().public_key())->thumbprint());
  EXPECT_FALSE(seen.relayed);
  EXPECT_EQ(text_at(client.read(order.authz), "status"), "valid");
  EXPECT_EQ(text_at(client.read(order.url), "status"), "pending");  // the name is not proved yet
  client.post_url(challenge_of(order.name_authz), "{}");
  EXPECT_TRUE(eventually([&] { return text_at(client.read(order.url), "status") == "ready"; }));
}

TEST_F(RemoteAttestation, Answer_EachJsonForm_IsTaken) {
  for (const std::string payload :
       {R"(["application/eat+cwt","I0faVQ"])", R"({"a":["application/eat+cwt","I0faVQ"]})",
        R"("eyJhbGciOiJFQ0RILUVTIn0....")", R"({"jwe":"x"})", R"({"csr":"x"})"}) {
    const auto order = new_order();
    EXPECT_EQ(client.post_url(order.challenge, payload).status, 200) << payload;
    EXPECT_TRUE(becomes(order, "valid")) << payload;
    EXPECT_EQ(text_of(world.attestation.remote().payload), payload);
  }
}

TEST_F(RemoteAttestation, Answer_NothingInIt_MalformedAndStaysPending) {
  const auto order = new_order();
  for (const std::string payload : {"{}", "[]", R"("")"}) {
    expect_problem(client.post_url(order.challenge, payload), 400, "malformed", "evidence.missing");
  }
  for (const std::string payload : {"1", "true", "null"}) {
    expect_problem(client.post_url(order.challenge, payload), 400, "malformed", "evidence.form");
  }
  expect_problem(client.post_url(order.challenge, "nonsense"), 400, "malformed", "payload.json");
  EXPECT_EQ(challenge_status(order), "pending");
  EXPECT_EQ(world.attestation.count("remote-verify"), 0);
}

TEST_F(RemoteAttestation, Answer_RawEvidence_415) {
  const auto order = new_order();
  HttpRequest request;
  request.method = "POST";
  request.raw_path = client.path_of(order.challenge);
  request.content_type = "application/cmw+cbor";
  request.body = to_bytes("x");
  expect_problem(world.service->handle(request), 415, "malformed", "http.content-type");
}

TEST_F(RemoteAttestation, Answer_Refused_InvalidWithTheReasonAndNotTriedAgain) {
  const auto order = new_order();
  world.attestation.answer(
      wire::ChallengeProblem{"badAttestationStatement", "pcr.mismatch", "PCR 7 differs"});
  EXPECT_EQ(client.post_url(order.challenge, std::string(kAnswer)).status, 200);
  EXPECT_TRUE(becomes(order, "invalid"));
  const auto document = json_of(client.read(order.challenge));
  const auto error = document.root().get("error");
  EXPECT_EQ(error.get("type").string(), "urn:ietf:params:acme:error:badAttestationStatement");
  EXPECT_EQ(error.get("code").string(), "pcr.mismatch");
  EXPECT_EQ(error.get("detail").string(), "PCR 7 differs");
  EXPECT_EQ(text_at(client.read(order.url), "status"), "invalid");
  EXPECT_EQ(world.attestation.count("remote-verify"), 1);
}

TEST_F(RemoteAttestation, Answer_AttestationAway_ProcessingAndJudgedAfterARestart) {
  const auto order = new_order();
  world.attestation.break_message("remote-verify", peer_lost());
  const auto response = client.post_url(order.challenge, std::string(kAnswer));
  EXPECT_EQ(text_at(response, "status"), "processing");
  EXPECT_NE(header_of(response, "Retry-After"), "");
  EXPECT_FALSE(json_of(response).root().get("answer").exists());
  world.restart();
  world.attestation.heal("remote-verify");
  world.service->start();
  EXPECT_TRUE(becomes(order, "valid"));
  EXPECT_EQ(text_of(world.attestation.remote().payload), kAnswer);
}

TEST_F(RemoteAttestation, Answer_StoreAway_503AndStaysPending) {
  const auto order = new_order();
  world.store.break_message("challenge-update", peer_lost());
  expect_problem(client.post_url(order.challenge, std::string(kAnswer)), 503, "serverInternal",
                 "peer-lost");
  world.store.heal("challenge-update");
  EXPECT_EQ(challenge_status(order), "pending");
  EXPECT_EQ(world.attestation.count("remote-verify"), 0);
}

TEST_F(RemoteAttestation, Answer_TokenNotOurs_Invalid) {
  const auto order = new_order();
  world.attestation.break_message(
      "remote-verify",
      wire::Failure::of(wire::FailureKind::kRefused, "challenge-token-forged", "not ours"));
  client.post_url(order.challenge, std::string(kAnswer));
  EXPECT_TRUE(becomes(order, "invalid"));
  EXPECT_EQ(error_code(order), "challenge-token-forged");
}

TEST_F(RemoteAttestation, Answer_OrderGoneFromTheStore_Invalid) {
  const auto order = new_order();
  world.store.lose_order(order.ticket);
  client.post_url(order.challenge, std::string(kAnswer));
  EXPECT_TRUE(becomes(order, "invalid"));
  EXPECT_EQ(error_code(order), "evidence.lost");
}

TEST(RemoteFailures, MoreThanAllowed_RateLimitedLikeNames) {
  World world([](ServiceConfig& config) {
    config.rates.per_hour[static_cast<std::size_t>(Rate::kFailuresPerName)] = 1;
  });
  wire::ProfileInfo profile{"server", "x", {"permanent-identifier"}, {"device-attest-01"}, {}, {}};
  profile.attestations = {"hsm"};
  world.signer.set_profiles({profile});
  world.attestation.answer(wire::ChallengeProblem{"badAttestationStatement", "x.y", "no"});
  Client client(world);
  client.register_account();
  const auto challenge_of_new_order = [&] {
    const auto made = client.post(
        "/acme/new-order", R"({"identifiers":[{"type":"permanent-identifier","value":"d"}]})");
    const auto document = json_of(made);
    const auto authz = std::string(document.root().get("authorizations").items().at(1).string());
    const auto read = json_of(client.read(authz));
    return std::string(read.root().get("challenges").items().at(0).get("url").string());
  };
  const auto first = challenge_of_new_order();
  client.post_url(first, std::string(kAnswer));
  EXPECT_TRUE(eventually([&] { return text_at(client.read(first), "status") == "invalid"; }));
  const auto refused = client.post_url(challenge_of_new_order(), std::string(kAnswer));
  EXPECT_EQ(refused.status, 429) << refused.body;
  EXPECT_EQ(test::type_of(refused), "rateLimited");
}

TEST_F(RemoteAttestation, DeviceVerify_IsToldTheProfile) {
  wire::ProfileInfo profile{"server", "x", {"permanent-identifier"}, {"device-attest-01"}, {}, {}};
  world.signer.set_profiles({profile});
  const auto order = client.new_order("permanent-identifier", "device-1");
  EXPECT_EQ(client.post_url(order.challenge, R"({"attObj":"oA"})").status, 200);
  EXPECT_EQ(world.attestation.last().profile, "server");
  EXPECT_EQ(world.attestation.minted().at(0).profile, "server");
}

// ---- other verifiers

TEST_F(RemoteAttestation, Relay_Slow_ProcessingAndThenValid) {
  world.attestation.remote_relay = "veraison";
  world.validation.hold();
  const auto order = new_order();
  const auto response = client.post_url(order.challenge, std::string(kAnswer));
  EXPECT_EQ(text_at(response, "status"), "processing");
  EXPECT_NE(header_of(response, "Retry-After"), "");
  EXPECT_TRUE(world.validation.wait_for("verifier-relay", 1));
  EXPECT_EQ(challenge_status(order), "processing");
  world.validation.release();
  EXPECT_TRUE(becomes(order, "valid"));
  const auto relayed = world.validation.relayed();
  EXPECT_EQ(relayed.verifier, "veraison");
  EXPECT_EQ(relayed.nonce, text_at(client.read(order.challenge), "token"));
  EXPECT_EQ(relayed.media_type, "application/eat+cwt");
  EXPECT_EQ(relayed.evidence, (Bytes{1, 2, 3}));
  const auto seen = world.attestation.remote();
  ASSERT_TRUE(seen.relayed);
  EXPECT_EQ(text_of(*seen.relayed), "what the verifier says");
  EXPECT_EQ(text_of(seen.payload), kAnswer);
}

TEST_F(RemoteAttestation, Relay_VerifierAwayForAWhile_TriedAgain) {
  world.attestation.remote_relay = "veraison";
  world.validation.answer_relay(wire::ChallengeProblem{"connection", "relay.unavailable", "x"}, 2);
  const auto order = new_order();
  client.post_url(order.challenge, std::string(kAnswer));
  EXPECT_TRUE(becomes(order, "valid"));
  EXPECT_EQ(world.validation.count("verifier-relay"), 3);
}

TEST(RemoteRelay, VerifierStaysAway_InvalidWhenPatienceEnds) {
  World world([](ServiceConfig& config) { config.relay_patience_ms = 0; });
  wire::ProfileInfo profile{"server", "x", {"permanent-identifier"}, {"device-attest-01"}, {}, {}};
  profile.attestations = {"hsm"};
  world.signer.set_profiles({profile});
  world.attestation.remote_relay = "veraison";
  world.validation.answer_relay(wire::ChallengeProblem{"connection", "relay.unavailable", "x"});
  Client client(world);
  client.register_account();
  const auto made = client.post("/acme/new-order",
                                R"({"identifiers":[{"type":"permanent-identifier","value":"d"}]})");
  const auto document = json_of(made);
  const auto authz = std::string(document.root().get("authorizations").items().at(1).string());
  const auto read = json_of(client.read(authz));
  const auto url = std::string(read.root().get("challenges").items().at(0).get("url").string());
  client.post_url(url, std::string(kAnswer));
  EXPECT_TRUE(eventually([&] { return text_at(client.read(url), "status") == "invalid"; }));
  const auto challenge = json_of(client.read(url));
  const auto error = challenge.root().get("error");
  EXPECT_EQ(error.get("type").string(), "urn:ietf:params:acme:error:badAttestationStatement");
  EXPECT_EQ(error.get("code").string(), "relay.unavailable");
  EXPECT_EQ(world.validation.count("verifier-relay"), 1);
}

TEST_F(RemoteAttestation, Relay_VerifierRefuses_InvalidWithItsReason) {
  world.attestation.remote_relay = "veraison";
  world.validation.answer_relay(
      wire::ChallengeProblem{"badAttestationStatement", "relay.failed", "x"});
  const auto order = new_order();
  client.post_url(order.challenge, std::string(kAnswer));
  EXPECT_TRUE(becomes(order, "invalid"));
  EXPECT_EQ(error_code(order), "relay.failed");
  EXPECT_EQ(world.validation.count("verifier-relay"), 1);
}

TEST_F(RemoteAttestation, Relay_ValidationAway_TriedAgain) {
  world.attestation.remote_relay = "veraison";
  world.validation.break_message("verifier-relay", peer_lost());
  const auto order = new_order();
  client.post_url(order.challenge, std::string(kAnswer));
  EXPECT_TRUE(world.validation.wait_for("verifier-relay", 2));
  EXPECT_EQ(challenge_status(order), "processing");
  world.validation.heal("verifier-relay");
  EXPECT_TRUE(becomes(order, "valid"));
}

TEST_F(RemoteAttestation, Relay_AskedForTwice_Invalid) {
  world.attestation.remote_relay = "veraison";
  world.attestation.relay_again = true;
  const auto order = new_order();
  client.post_url(order.challenge, std::string(kAnswer));
  EXPECT_TRUE(becomes(order, "invalid"));
  EXPECT_EQ(error_code(order), "relay.again");
  EXPECT_EQ(world.attestation.count("remote-verify"), 2);
}

}  // namespace
}  // namespace keyward::acme
