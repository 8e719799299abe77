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
  EXPECT_EQ(seen.ticket, "");  // a name's proof may serve other orders (D-A9)
  EXPECT_EQ(seen.account_url, client.kid);
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

TEST_F(Challenges, FailedLooks_StayProcessingUntilOneSucceeds) {
  for (const std::string_view type :
       {"dns", "connection", "tls", "unauthorized", "incorrectResponse", "serverInternal"}) {
    const auto order = client.new_order("dns", std::string(type) + ".example");
    const int before = world.validation.count("name-validate");
    world.validation.answer(wire::ChallengeProblem{std::string(type), "not-yet", "x"}, 2);
    EXPECT_EQ(client.post_url(order.challenge, "{}").status, 200);
    EXPECT_TRUE(eventually([&] { return challenge_status(order) == "valid"; })) << type;
    EXPECT_EQ(world.validation.count("name-validate"), before + 3) << type;
    EXPECT_FALSE(json_of(client.read(order.challenge)).root().get("error").exists());
  }
}

TEST_F(Challenges, FailedLooks_AsOftenAsConfigured_Invalid) {
  const auto order = client.new_order("dns", "a.example");
  world.validation.answer(wire::ChallengeProblem{"dns", "dns.servfail", "x"});
  client.post_url(order.challenge, "{}");
  EXPECT_TRUE(eventually([&] { return challenge_status(order) == "invalid"; }));
  EXPECT_EQ(world.validation.count("name-validate"), 3);
  EXPECT_EQ(text_at(client.read(order.authz), "status"), "invalid");
}

// A silent host makes each look as long as it may be: 20 seconds of http-01.
TEST_F(Challenges, FailedLook_ThatTookAllPatience_NoOtherIsBegun) {
  const auto order = client.new_order("dns", "a.example");
  world.validation.hold();
  client.post_url(order.challenge, "{}");
  ASSERT_TRUE(world.validation.wait_for("name-validate", 1));
  world.clock.advance(limits::kValidationPatienceMs);
  world.validation.answer(wire::ChallengeProblem{"connection", "http.timeout", "x"});
  world.validation.release();
  EXPECT_TRUE(eventually([&] { return challenge_status(order) == "invalid"; }));
  EXPECT_EQ(world.validation.count("name-validate"), 1);
}

TEST_F(Challenges, FailedLook_WithPatienceLeft_AnotherIsBegun) {
  const auto order = client.new_order("dns", "a.example");
  world.validation.hold();
  client.post_url(order.challenge, "{}");
  ASSERT_TRUE(world.validation.wait_for("name-validate", 1));
  world.clock.advance(limits::kValidationPatienceMs - 6);  // and 5 of the pause
  world.validation.answer(wire::ChallengeProblem{"connection", "http.timeout", "x"}, 1);
  world.validation.release();
  EXPECT_TRUE(eventually([&] { return challenge_status(order) == "valid"; }));
  EXPECT_EQ(world.validation.count("name-validate"), 2);
}

TEST_F(Challenges, RefusalThatCannotPass_InvalidAtTheFirstLook) {
  const std::pair<std::string, std::string> refusals[] = {{"caa", "no"},
                                                          {"rejectedIdentifier", "no"},
                                                          {"malformed", "no"},
                                                          {"connection", "egress.refused"}};
  for (const auto& [type, code] : refusals) {
    const auto order = client.new_order("dns", type + ".example");
    const int before = world.validation.count("name-validate");
    world.validation.answer(wire::ChallengeProblem{type, code, "x"});
    client.post_url(order.challenge, "{}");
    EXPECT_TRUE(eventually([&] { return challenge_status(order) == "invalid"; })) << type;
    EXPECT_EQ(world.validation.count("name-validate"), before + 1) << type;
  }
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

TEST(ChallengeRetries, BetweenLooks_ProcessingWithoutErrorAndHurriedByAnotherPost) {
  // The pause is so long that only the client's own request can bring the second look.
  World world([](ServiceConfig& config) { config.validation_retry_ms = 3'600'000; });
  Client client(world);
  client.register_account();
  const auto order = client.new_order("dns", "a.example");
  world.validation.answer(wire::ChallengeProblem{"connection", "http.refused", "x"}, 1);
  const auto first = client.post_url(order.challenge, "{}");
  EXPECT_EQ(text_at(first, "status"), "processing");
  EXPECT_NE(header_of(first, "Retry-After"), "");
  EXPECT_FALSE(json_of(first).root().get("error").exists());  // D-A5
  EXPECT_EQ(text_at(client.read(order.challenge), "status"), "processing");
  EXPECT_EQ(world.validation.count("name-validate"), 1);
  // Many at once bring one look, and not sooner than the limit says.
  for (int i = 0; i < 5; ++i) client.post_url(order.challenge, "{}");
  EXPECT_TRUE(
      eventually([&] { return text_at(client.read(order.challenge), "status") == "valid"; }));
  EXPECT_EQ(world.validation.count("name-validate"), 2);
}

TEST(ChallengeRetries, AuthzDeactivatedBetweenLooks_NobodyLooksAgain) {
  World world([](ServiceConfig& config) { config.validation_retry_ms = 3'600'000; });
  Client client(world);
  client.register_account();
  const auto order = client.new_order("dns", "a.example");
  world.validation.answer(wire::ChallengeProblem{"connection", "http.refused", "x"}, 1);
  client.post_url(order.challenge, "{}");
  EXPECT_TRUE(world.validation.wait_for("name-validate", 1));
  EXPECT_EQ(client.post_url(order.authz, R"({"status":"deactivated"})").status, 200);
  const int looked_up = world.store.count("authz-get");
  EXPECT_TRUE(eventually([&] {
    client.post_url(order.challenge, "{}");
    return world.store.count("authz-get") > looked_up + 30;
  }));
  EXPECT_EQ(world.validation.count("name-validate"), 1);
  EXPECT_EQ(text_at(client.read(order.authz), "status"), "deactivated");
}

struct LimitedWorld : World {
  LimitedWorld(Rate rate, std::int64_t per_hour)
      : World([=](ServiceConfig& config) {
          config.rates.per_hour[static_cast<std::size_t>(rate)] = per_hour;
          config.validation_retry_ms = 3'600'000;
        }) {}
};

TEST(ChallengeRates, FailuresOfOneName_429AndTheChallengeStaysPending) {
  LimitedWorld world(Rate::kFailuresPerName, 1);
  Client client(world);
  client.register_account();
  const auto first = client.new_order("dns", "a.example");
  world.validation.answer(wire::ChallengeProblem{"caa", "caa.forbids", "x"});
  client.post_url(first.challenge, "{}");
  EXPECT_TRUE(
      eventually([&] { return text_at(client.read(first.challenge), "status") == "invalid"; }));
  const auto second = client.new_order("dns", "a.example");
  const auto response = client.post_url(second.challenge, "{}");
  expect_problem(response, 429, "rateLimited", "rate.failures-per-name");
  EXPECT_NE(header_of(response, "Retry-After"), "");
  EXPECT_EQ(text_at(client.read(second.challenge), "status"), "pending");
  // Another name is another matter, and so is this one an hour later.
  const auto other = client.new_order("dns", "b.example");
  EXPECT_EQ(client.post_url(other.challenge, "{}").status, 200);
  world.clock.advance(3'600'001);
  EXPECT_EQ(client.post_url(second.challenge, "{}").status, 200);
}

TEST(ChallengeRates, FailedAttestations_CountToo) {
  LimitedWorld world(Rate::kFailuresPerName, 1);
  Client client(world);
  client.register_account();
  world.attestation.answer(wire::ChallengeProblem{"badAttestationStatement", "tpm.magic", "x"});
  const auto first = client.new_order("permanent-identifier", "device-1");
  EXPECT_EQ(client.post_url(first.challenge, R"({"attObj":"oA"})").status, 400);
  const auto second = client.new_order("permanent-identifier", "device-1");
  expect_problem(client.post_url(second.challenge, R"({"attObj":"oA"})"), 429, "rateLimited",
                 "rate.failures-per-name");
  EXPECT_EQ(world.attestation.count("device-verify"), 1);
}

TEST(ChallengeRates, RetriesAskedFor_429AndStillProcessing) {
  LimitedWorld world(Rate::kChallengeRetries, 1);
  Client client(world);
  client.register_account();
  const auto order = client.new_order("dns", "a.example");
  world.validation.hold();
  client.post_url(order.challenge, "{}");
  EXPECT_EQ(client.post_url(order.challenge, "{}").status, 200);
  expect_problem(client.post_url(order.challenge, "{}"), 429, "rateLimited",
                 "rate.challenge-retries");
  EXPECT_EQ(text_at(client.read(order.challenge), "status"), "processing");
  world.validation.release();
}

TEST(OrderRates, OfOneAccount_429AndTheSignerIsNotAsked) {
  LimitedWorld world(Rate::kOrdersPerAccount, 2);
  Client client(world);
  client.register_account();
  client.new_order("dns", "a.example");
  EXPECT_EQ(
      client.post("/acme/new-authz", R"({"identifier":{"type":"dns","value":"a.example"}})").status,
      201);
  const auto response =
      client.post("/acme/new-order", R"({"identifiers":[{"type":"dns","value":"a.example"}]})");
  expect_problem(response, 429, "rateLimited", "rate.orders-per-account");
  expect_problem(
      client.post("/acme/new-authz", R"({"identifier":{"type":"dns","value":"a.example"}})"), 429,
      "rateLimited", "rate.orders-per-account");
  EXPECT_EQ(world.signer.count("ticket-mint"), 1);
  Client other(world);
  other.register_account();
  other.new_order("dns", "a.example");
}

TEST(DeviceChallenge, Respond200Invalid_TheChallengeItselfIsTheAnswer) {
  World world([](ServiceConfig& config) { config.respond_200_invalid = true; });
  Client client(world);
  client.register_account();
  const auto order = client.new_order("permanent-identifier", "device-1");
  world.attestation.answer(wire::ChallengeProblem{"badAttestationStatement", "tpm.magic", "x"});
  const auto response = client.post_url(order.challenge, R"({"attObj":"oA"})");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(text_at(response, "status"), "invalid");
  EXPECT_EQ(json_of(response).root().get("error").get("code").string(), "tpm.magic");
  EXPECT_EQ(client.status_of(order), "invalid");
}

TEST_F(Challenges, Valid_AuthzLivesAsLongAsTheGrant) {
  const auto device = client.new_order("permanent-identifier", "device-1");
  client.post_url(device.challenge, R"({"attObj":"oA"})");
  EXPECT_EQ(text_at(client.read(device.authz), "expires"), rfc3339(1'795'000'900'000));
  const auto name = client.new_order("dns", "a.example");
  world.validation.grant_expires_at_ms = 1'795'123'456'000;
  client.post_url(name.challenge, "{}");
  EXPECT_TRUE(eventually([&] { return client.status_of(name) == "ready"; }));
  EXPECT_EQ(text_at(client.read(name.authz), "expires"), rfc3339(1'795'123'456'000));
}

class AuthorityTokens : public Challenges {
 protected:
  void SetUp() override {
    world.signer.set_profiles({{"shaken",
                                "a service provider",
                                {"TNAuthList", "JWTClaimConstraints"},
                                {"tkauth-01"},
                                {},
                                {}}});
    Challenges::SetUp();
    const auto response = client.post(
        "/acme/new-order",
        R"({"profile":"shaken","identifiers":[{"type":"TNAuthList","value":"MAigBhYENzA5Sg"}]})");
    ASSERT_EQ(response.status, 201) << response.body;
    order.url = header_of(response, "Location");
    order.ticket = order.url.substr(order.url.rfind('/') + 1);
    const auto document = json_of(response);
    order.authz = std::string(document.root().get("authorizations").items().at(0).string());
    const auto authz = json_of(client.read(order.authz));
    order.challenge = std::string(authz.root().get("challenges").items().at(0).get("url").string());
  }
  Client::Order order;
};

TEST_F(AuthorityTokens, Challenge_ShowsItsTokenType) {
  const auto challenge = json_of(client.read(order.challenge));
  EXPECT_EQ(challenge.root().get("type").string(), "tkauth-01");
  EXPECT_EQ(challenge.root().get("tkauth-type").string(), "atc");
  EXPECT_FALSE(challenge.root().get("token-authority").exists());
  const auto minted = world.attestation.minted();
  ASSERT_EQ(minted.size(), 1U);
  EXPECT_EQ(minted[0].method, wire::ValidationMethod::kTkauth01);
  EXPECT_EQ(minted[0].ticket, order.ticket);
  EXPECT_EQ(challenge.root().get("token").string(),
            world.store.authz(order.authz.substr(order.authz.rfind('/') + 1)).challenges[0].token);
}

TEST_F(AuthorityTokens, Good_ValidAtOnce) {
  const auto response = client.post_url(order.challenge, R"({"tkauth":"a.b.c","else":1})");
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(text_at(response, "status"), "valid");
  EXPECT_EQ(client.status_of(order), "ready");
  EXPECT_EQ(world.attestation.authority().tkauth, "a.b.c");
  EXPECT_EQ(world.attestation.authority().ticket, order.ticket);
  EXPECT_EQ(world.validation.count("url-fetch"), 0);
}

TEST_F(AuthorityTokens, CertificateByUrl_FetchedByValidationAndAskedAgain) {
  world.attestation.fetch_url = "https://authority.example/cert";
  const auto response = client.post_url(order.challenge, R"({"tkauth":"a.b.c"})");
  EXPECT_EQ(text_at(response, "status"), "valid") << response.body;
  EXPECT_EQ(world.validation.fetched_url(), "https://authority.example/cert");
  EXPECT_EQ(text_of(*world.attestation.authority().fetched), "what stands there");
}

TEST_F(AuthorityTokens, CertificateNotThere_Invalid) {
  world.attestation.fetch_url = "https://authority.example/cert";
  world.validation.fetch_problem = wire::ChallengeProblem{"connection", "fetch.refused", "x"};
  expect_problem(client.post_url(order.challenge, R"({"tkauth":"a.b.c"})"), 400, "connection",
                 "fetch.refused");
  EXPECT_EQ(challenge_status(order), "invalid");
  EXPECT_EQ(world.attestation.count("authority-verify"), 1);
}

TEST_F(AuthorityTokens, CertificateAskedForTwice_ServerInternalAndPending) {
  world.attestation.fetch_url = "https://authority.example/cert";
  world.attestation.fetch_again = true;
  expect_problem(client.post_url(order.challenge, R"({"tkauth":"a.b.c"})"), 500, "serverInternal",
                 "authority.fetch-again");
  EXPECT_EQ(challenge_status(order), "pending");
}

TEST_F(AuthorityTokens, Refused_HttpErrorAndEverythingInvalid) {
  world.attestation.answer(wire::ChallengeProblem{"unauthorized", "authority.expired", "x"});
  expect_problem(client.post_url(order.challenge, R"({"tkauth":"a.b.c"})"), 403, "unauthorized",
                 "authority.expired");
  EXPECT_EQ(challenge_status(order), "invalid");
  EXPECT_EQ(client.status_of(order), "invalid");
}

TEST_F(AuthorityTokens, MalformedPayload_StaysPending) {
  expect_problem(client.post_url(order.challenge, "{}"), 400, "malformed", "tkauth.missing");
  expect_problem(client.post_url(order.challenge, R"({"tkauth":""})"), 400, "malformed",
                 "tkauth.missing");
  const std::string big(limits::kAuthorityTokenBytesMax + 1, 'a');
  expect_problem(client.post_url(order.challenge, R"({"tkauth":")" + big + R"("})"), 400,
                 "malformed", "tkauth.size");
  EXPECT_EQ(challenge_status(order), "pending");
  EXPECT_EQ(world.attestation.count("authority-verify"), 0);
}

TEST(TokenAuthority, Configured_HintedAt) {
  World world([](ServiceConfig& config) { config.token_authority = "https://authority.example"; });
  world.signer.set_profiles({{"server", "x", {"TNAuthList"}, {"tkauth-01"}, {}, {}}});
  Client client(world);
  client.register_account();
  const auto order = client.new_order("TNAuthList", "MAigBhYENzA5Sg");
  EXPECT_EQ(text_at(client.read(order.challenge), "token-authority"), "https://authority.example");
}

class Possession : public Challenges {
 protected:
  void SetUp() override {
    world.signer.set_profiles({{"server", "x", {"dns"}, {"proof-of-possession-01"}, {}, {}}});
    Challenges::SetUp();
    order = client.new_order("dns", "a.example");
  }
  Client::Order order;
};

TEST_F(Possession, Good_TheSignerIsGivenTheInnerJws) {
  EXPECT_EQ(text_at(client.read(order.challenge), "type"), "proof-of-possession-01");
  const auto response = client.post_url(
      order.challenge,
      R"({"authorization":{"protected":"e30","payload":"e30","signature":"AAAA"}})");
  EXPECT_EQ(text_at(response, "status"), "valid") << response.body;
  const auto seen = world.signer.possession();
  EXPECT_EQ(seen.authorization.protected_b64, "e30");
  EXPECT_EQ(seen.identifier.value, "a.example");
  EXPECT_EQ(seen.token, text_at(client.read(order.challenge), "token"));
}

TEST_F(Possession, Refused_HttpErrorAndInvalid) {
  world.signer.possession_problem = wire::ChallengeProblem{"unauthorized", "possession.key", "x"};
  expect_problem(client.post_url(
                     order.challenge,
                     R"({"authorization":{"protected":"e30","payload":"e30","signature":"AAAA"}})"),
                 403, "unauthorized", "possession.key");
  EXPECT_EQ(challenge_status(order), "invalid");
}

TEST_F(Possession, MalformedPayload_StaysPending) {
  expect_problem(client.post_url(order.challenge, "{}"), 400, "malformed", "possession.missing");
  expect_problem(client.post_url(order.challenge, R"({"authorization":{"protected":"e30"}})"), 400,
                 "malformed", "possession.form");
  EXPECT_EQ(challenge_status(order), "pending");
  EXPECT_EQ(world.signer.count("possession-verify"), 0);
}

TEST_F(Challenges, UnknownChallengeOfOwnAuthz_NotFound) {
  const auto order = client.new_order("dns", "a.example");
  expect_problem(client.read(order.challenge.substr(0, order.challenge.rfind('/')) + "/other"), 404,
                 "malformed", "not-found");
}

}  // namespace
}  // namespace keyward::acme
