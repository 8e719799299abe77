// Tests what runs through service, store and signer together.
#include "firmware/acme/renewal_info.h"

#include "world.h"

namespace keyward::acme {
namespace {

using test::eventually;
using test::expect_problem;
using test::header_of;
using test::json_of;
using test::kDayMs;
using test::text_at;
using test::Whole;
using test::WholeClient;

class AcmeWhole : public testing::Test {
 protected:
  void SetUp() override { client.register_account(); }
  // What the whole product promises: never a signature without an intent.
  void TearDown() override {
    const auto summary = issue::read_ledger(world.dir.path() + "/signer/ledger",
                                            [](const auto&, const auto&) -> Status { return {}; });
    ASSERT_TRUE(summary.has_value());
    EXPECT_EQ(summary->intents, static_cast<std::uint64_t>(world.token.signatures));
  }
  std::string revocation_of(const Bytes& leaf, std::string_view more = "") {
    return R"({"certificate":")" + base64url_encode(leaf) + "\"" + std::string(more) + "}";
  }
  std::string renewal_start(const Bytes& leaf) {
    const auto response = client.get("/acme/renewal-info/" + certificate_id_of(leaf)->text());
    EXPECT_EQ(response.status, 200) << response.body;
    return std::string(json_of(response).root().get("suggestedWindow").get("start").string());
  }
  Whole world;
  WholeClient client{world};
  crypto::PrivateKey key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
};

// A series of days, fetched without a signature; renewed three times; canceled.
TEST_F(AcmeWhole, Star_ThreeRenewalsFetchedByGetThenCanceled) {
  const auto end = rfc3339(world.clock.utc_ms() + 20 * kDayMs);
  const auto made =
      client.order("star.example.org", R"(,"auto-renewal":{"end-date":")" + end +
                                           R"(","lifetime":172800,"allow-certificate-get":true})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(json_of(made).root().get("auto-renewal").get("end-date").string(), end);
  const auto valid = client.finish(made, "star.example.org", key);
  ASSERT_EQ(text_at(valid, "status"), "valid") << valid.body;
  const auto url = text_at(valid, "star-certificate");
  auto leaf = WholeClient::leaf_in(client.get(url));
  ASSERT_FALSE(leaf.empty());
  for (int renewal = 0; renewal < 3; ++renewal) {
    world.clock.advance(2 * kDayMs);
    world.open();  // over a restart of every task
    ASSERT_TRUE(world.service->resume_work());
    ASSERT_TRUE(eventually([&] { return WholeClient::leaf_in(client.get(url)) != leaf; }))
        << renewal;
    leaf = WholeClient::leaf_in(client.get(url));
    const auto certificate = x509::parse_certificate(leaf);
    EXPECT_LE(certificate->not_before_ms, world.clock.utc_ms());
    EXPECT_GT(certificate->not_after_ms, world.clock.utc_ms());
  }
  EXPECT_EQ(world.token.signatures, 4);
  expect_problem(client.post("/acme/revoke-cert", revocation_of(leaf)), 403,
                 "autoRenewalRevocationNotSupported", "revocation-star");
  const auto canceled = client.post(header_of(made, "Location"), R"({"status":"canceled"})");
  EXPECT_EQ(text_at(canceled, "status"), "canceled") << canceled.body;
  expect_problem(client.get(url), 403, "autoRenewalCanceled", "star.canceled");
  world.clock.advance(2 * kDayMs);
  ASSERT_TRUE(world.service->resume_work());
  EXPECT_EQ(world.token.signatures, 4);
}

TEST_F(AcmeWhole, Directory_ShowsTheBoundsOfRenewal) {
  const auto document = json_of(client.get("/acme/directory"));
  const auto renewal = document.root().get("meta").get("auto-renewal");
  EXPECT_EQ(renewal.get("min-lifetime").integer(), issue::StarLimits{}.lifetime_s_min);
  EXPECT_EQ(renewal.get("max-duration").integer(), issue::StarLimits{}.duration_s_max);
  EXPECT_TRUE(renewal.get("allow-certificate-get").boolean());
}

TEST_F(AcmeWhole, Star_HsmAwayAtTheRenewal_RenewedWhenItIsBack) {
  const auto end = rfc3339(world.clock.utc_ms() + 20 * kDayMs);
  const auto made = client.order(
      "star.example.org", R"(,"auto-renewal":{"end-date":")" + end + R"(","lifetime":172800})");
  const auto valid = client.finish(made, "star.example.org", key);
  const auto url = text_at(valid, "star-certificate");
  const auto leaf = WholeClient::leaf_in(client.read(url));
  ASSERT_FALSE(leaf.empty());
  expect_problem(client.get(url), 405, "malformed", "http.method");
  world.token.away = true;
  world.clock.advance(kDayMs + kDayMs / 2);
  ASSERT_TRUE(world.service->resume_work());
  world.token.away = false;
  EXPECT_TRUE(eventually([&] { return WholeClient::leaf_in(client.read(url)) != leaf; }));
}

TEST_F(AcmeWhole, IncidentDeclared_WindowMovesWithinTheNextAnswer) {
  const auto leaf = client.enrol("www.example.org", key);
  const auto usual = renewal_start(leaf);
  EXPECT_GT(usual, rfc3339(world.clock.utc_ms() + 50 * kDayMs));
  auto folder =
      operate::OperatorDirectory::open(world.dir.path() + "/acme", std::string(kIncidentsFolder));
  ASSERT_TRUE(folder.has_value());
  const auto now_ms = world.clock.utc_ms();
  Incident incident;
  incident.id = "i";
  incident.profile = "server";
  incident.window_start_ms = now_ms;
  incident.window_end_ms = now_ms + kDayMs;
  ASSERT_TRUE(folder->replace(std::string(kIncidentsFile), view_of(incidents_json({incident}))));
  EXPECT_EQ(renewal_start(leaf), rfc3339(now_ms));
  ASSERT_TRUE(folder->replace(std::string(kIncidentsFile), view_of(incidents_json({}))));
  EXPECT_EQ(renewal_start(leaf), usual);
}

TEST_F(AcmeWhole, Replaces_OnceAlone) {
  const auto leaf = client.enrol("www.example.org", key);
  const auto replaces = R"(,"replaces":")" + certificate_id_of(leaf)->text() + "\"";
  expect_problem(client.order("other.example.org", replaces), 400, "malformed",
                 "replaces.identifiers");
  const auto next = client.enrol("www.example.org", key, replaces);
  EXPECT_NE(next, leaf);
  expect_problem(client.order("www.example.org", replaces), 409, "alreadyReplaced",
                 "already-replaced");
}

TEST_F(AcmeWhole, Replaces_OrderExpired_MayBeReplacedAgain) {
  const auto leaf = client.enrol("www.example.org", key);
  const auto replaces = R"(,"replaces":")" + certificate_id_of(leaf)->text() + "\"";
  const auto made = client.order("www.example.org", replaces);
  ASSERT_EQ(made.status, 201) << made.body;
  expect_problem(client.order("www.example.org", replaces), 409, "alreadyReplaced",
                 "already-replaced");
  world.clock.advance(limits::kOrderLifetimeMs + 1'000);
  EXPECT_EQ(text_at(client.read(header_of(made, "Location")), "status"), "invalid");
  EXPECT_EQ(client.order("www.example.org", replaces).status, 201);
}

TEST_F(AcmeWhole, Revoked_ByItsAccount) {
  const auto leaf = client.enrol("www.example.org", key);
  const auto reason = client.post("/acme/revoke-cert", revocation_of(leaf, R"(,"reason":6)"));
  expect_problem(reason, 400, "badRevocationReason", "revocation-reason");
  EXPECT_EQ(client.post("/acme/revoke-cert", revocation_of(leaf, R"(,"reason":4)")).status, 200);
  EXPECT_LE(renewal_start(leaf), rfc3339(world.clock.utc_ms()));
  expect_problem(client.post("/acme/revoke-cert", revocation_of(leaf)), 400, "alreadyRevoked",
                 "revocation-already");
}

TEST_F(AcmeWhole, Revoked_ByItsOwnKey) {
  const auto leaf = client.enrol("www.example.org", key);
  const auto stranger = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(client.post_as(stranger, true, "/acme/revoke-cert", revocation_of(leaf)).status, 403);
  const auto done =
      client.post_as(key, true, "/acme/revoke-cert", revocation_of(leaf, R"(,"reason":1)"));
  EXPECT_EQ(done.status, 200) << done.body;
}

TEST_F(AcmeWhole, Revoked_ByAnAccountThatHoldsAllItsNames) {
  const auto leaf = client.enrol("www.example.org", key);
  WholeClient other(world);
  other.register_account();
  EXPECT_EQ(other.post("/acme/revoke-cert", revocation_of(leaf)).status, 403);
  other.prove(other.order("www.example.org"));
  const auto done = other.post("/acme/revoke-cert", revocation_of(leaf));
  EXPECT_EQ(done.status, 200) << done.body;
}

TEST_F(AcmeWhole, UnknownCertificate_404) {
  const auto foreign = world.ca.root_der;
  expect_problem(client.post("/acme/revoke-cert", revocation_of(foreign)), 404, "malformed",
                 "certificate-unknown");
}

// RFC 8555 §7.3.5: what was begun with the old key goes on with the new one.
TEST_F(AcmeWhole, KeyChanged_PendingOrderIsFinished) {
  const auto made = client.order("www.example.org");
  ASSERT_EQ(made.status, 201) << made.body;
  const auto fresh = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  jose::SignRequest inner;
  inner.url = std::string(test::kBase) + "/acme/key-change";
  inner.payload = R"({"account":")" + client.kid + R"(","oldKey":)" +
                  jose::Jwk::from_public_key(client.key.public_key())->canonical() + "}";
  const auto changed = client.post("/acme/key-change", jose::to_json(*jose::sign(fresh, inner)));
  ASSERT_EQ(changed.status, 200) << changed.body;
  expect_problem(client.read(header_of(made, "Location")), 400, "malformed", "jws.signature");
  client.key = fresh;
  const auto valid = client.finish(made, "www.example.org", key);
  EXPECT_EQ(text_at(valid, "status"), "valid") << valid.body;
}

TEST_F(AcmeWhole, OrderExpires_InvalidAndNoCertificate) {
  const auto made = client.order("www.example.org");
  client.prove(made);
  world.clock.advance(limits::kOrderLifetimeMs + 1'000);
  const auto csr = x509::build_csr(key, {{wire::IdentifierType::kDns, "www.example.org"}});
  expect_problem(
      client.post(text_at(made, "finalize"), R"({"csr":")" + base64url_encode(*csr) + "\"}"), 403,
      "orderNotReady", "order.not-ready");
  EXPECT_EQ(text_at(client.read(header_of(made, "Location")), "status"), "invalid");
  EXPECT_EQ(world.token.signatures, 0);
}

}  // namespace
}  // namespace keyward::acme
