// Tests the way from an activated attestation key to its certificate: only with an activation, of
// this account and this session, once; and what is refused before.
#include "firmware/issue/ak_grants.h"

#include "fixture.h"

namespace keyward::test {
namespace {

const std::string kActivateUrl = std::string(kBaseUrl) + "/acme/attestation-ca/activate";

class AkGateTest : public GateTest {
 protected:
  AkGateTest() {
    config_.profiles = {issue::make_profile("device", issue::ProfileKind::kDevice, 365),
                        issue::make_profile("ak", issue::ProfileKind::kAttestationKey, 365)};
  }
  wire::GrantAk activation(const std::string& session, const crypto::PrivateKey& ak) const {
    wire::GrantAk grant;
    grant.thumbprint = client_.thumbprint();
    grant.session_sha256 = crypto::sha256(view_of(session));
    grant.spki = ak.public_key().spki_der();
    grant.manufacturer = "id:00001014";
    grant.model = "swtpm";
    grant.version = "id:20191023";
    grant.identifiers = {device("LAPTOP-7")};
    grant.expires_at_ms = clock_.utc_ms() + 600'000;
    grant.evidence_sha256[3] = 9;
    return grant;
  }
  std::string send(const wire::GrantAk& grant) {
    const auto reply = gate_->grant_ak(grant);
    return reply ? "granted" : reply.error().code;
  }
  wire::AkIssue request(const TestClient& client, const std::string& session,
                        const std::string& url = kActivateUrl) const {
    return {client.jwk(), client.sign(url, R"({"session":")" + session + R"(","secret":"AAAA"})")};
  }
  std::string ask(const wire::AkIssue& message) {
    auto reply = gate_->issue_ak(message);
    if (reply) last_ = *reply;
    return reply ? (reply->replayed ? "again" : "issued") : reply.error().code;
  }
  crypto::PrivateKey ak_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  TestClient other_;
  wire::AkIssueReply last_;
};

TEST_F(AkGateTest, Activated_IssuedOnce_TheSameAgainIsTheSame) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  EXPECT_EQ(ask(request(client_, "S1")), "issued");
  const auto first = last_.chain.at(0);
  const auto certificate = x509::parse_certificate(first);
  ASSERT_TRUE(certificate);
  EXPECT_EQ(certificate->spki_der, ak_.public_key().spki_der());
  EXPECT_EQ(ask(request(client_, "S1")), "again");
  EXPECT_EQ(last_.chain.at(0), first);
  open();
  EXPECT_EQ(ask(request(client_, "S1")), "again");
  EXPECT_EQ(last_.chain.at(0), first);
  EXPECT_EQ(token_.sign_calls, 1);
}

// A client whose answer was lost asks again when its session is over.
TEST_F(AkGateTest, IssuedAndTheActivationOver_TheSameForAnHour) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  EXPECT_EQ(ask(request(client_, "S1")), "issued");
  const auto first = last_.chain.at(0);
  clock_.advance(600'000 + limits::kAkReplayMs - 1'000);
  EXPECT_EQ(ask(request(client_, "S1")), "again");
  EXPECT_EQ(last_.chain.at(0), first);
  open();
  EXPECT_EQ(ask(request(client_, "S1")), "again");
  EXPECT_EQ(last_.chain.at(0), first);
  clock_.advance(2'000);
  EXPECT_EQ(ask(request(client_, "S1")), "no-grant");
  EXPECT_EQ(token_.sign_calls, 1);
}

TEST_F(AkGateTest, Activated_Restart_StillCounts) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  open();
  EXPECT_EQ(ask(request(client_, "S1")), "issued");
}

TEST_F(AkGateTest, Activated_AtATenantsUrl_Issued) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  EXPECT_EQ(
      ask(request(client_, "S1", std::string(kBaseUrl) + "/acme/t/vendor/attestation-ca/activate")),
      "issued");
}

TEST_F(AkGateTest, NothingActivated_NoGrant) {
  open();
  EXPECT_EQ(ask(request(client_, "S1")), "no-grant");
}

TEST_F(AkGateTest, AnotherSession_AkGrantMissing) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  EXPECT_EQ(ask(request(client_, "S2")), "ak-grant-missing");
}

// A front end that relays another account's session, before and after it was used.
TEST_F(AkGateTest, SessionOfAnotherAccount_AkGrantMissing) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  auto own = activation("S9", ak_);
  own.thumbprint = other_.thumbprint();
  EXPECT_EQ(send(own), "granted");
  EXPECT_EQ(ask(request(other_, "S1")), "ak-grant-missing");
  EXPECT_EQ(ask(request(client_, "S1")), "issued");
  EXPECT_EQ(ask(request(other_, "S1")), "ak-grant-missing");
}

TEST_F(AkGateTest, SignedByAnotherKey_JwsSignature) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  auto message = request(other_, "S1");
  message.account_jwk = client_.jwk();
  EXPECT_EQ(ask(message), "jws-signature");
}

TEST_F(AkGateTest, AnotherUrl_JwsUrl) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  for (const char* path : {"/acme/attestation-ca/begin", "/acme/t//attestation-ca/activate",
                           "/acme/t/a/b/attestation-ca/activate", "/acme/new-order",
                           "/acme/attestation-ca/activate/"}) {
    EXPECT_EQ(ask(request(client_, "S1", std::string(kBaseUrl) + path)), "jws-url") << path;
  }
  EXPECT_EQ(ask(request(client_, "S1", "https://other.example/acme/attestation-ca/activate")),
            "jws-url");
}

TEST_F(AkGateTest, NoSessionInThePayload_PayloadMalformed) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  for (const char* payload : {"{}", "[]", "", R"({"session":7})", R"({"session":""})"})
    EXPECT_EQ(ask({client_.jwk(), client_.sign(kActivateUrl, payload)}), "payload-malformed");
}

TEST_F(AkGateTest, ActivationOver_AkGrantMissing) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  auto later = activation("S2", ak_);
  later.expires_at_ms += 3'600'000;
  EXPECT_EQ(send(later), "granted");
  clock_.advance(600'000);
  EXPECT_EQ(ask(request(client_, "S1")), "ak-grant-missing");
}

TEST_F(AkGateTest, AccountsKeyAsAttestationKey_Refused) {
  open();
  EXPECT_EQ(send(activation("S1", client_.key())), "granted");
  EXPECT_EQ(ask(request(client_, "S1")), "csr-key-is-account-key");
}

TEST_F(AkGateTest, TokenAway_HsmAway_ThenIssued) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  token_.state = hal::TokenState::kAway;
  EXPECT_EQ(ask(request(client_, "S1")), "hsm-away");
  token_.state = hal::TokenState::kReady;
  EXPECT_EQ(ask(request(client_, "S1")), "issued");
}

TEST_F(AkGateTest, Budget_Used_RateAccount) {
  config_.account_per_hour = 1;
  open();
  for (const char* session : {"S1", "S2"}) EXPECT_EQ(send(activation(session, ak_)), "granted");
  EXPECT_EQ(ask(request(client_, "S1")), "issued");
  EXPECT_EQ(ask(request(client_, "S2")), "rate-account");
}

TEST_F(AkGateTest, Issued_Revoked_LikeAnyOther) {
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  EXPECT_EQ(ask(request(client_, "S1")), "issued");
  const auto reply =
      gate_->revoke({client_.jwk(), client_.sign(std::string(kBaseUrl) + "/acme/revoke-cert",
                                                 R"({"certificate":")" +
                                                     base64url_encode(last_.chain.at(0)) + "\"}")});
  EXPECT_TRUE(reply) << reply.error().code;
}

// An attestation key's profile is for no order, and its activation proves no device.
TEST_F(AkGateTest, OrderWithTheProfileOrTheGrant_Refused) {
  open();
  EXPECT_EQ(code(gate_->mint_ticket(
                client_.new_order(TestClient::order_payload({device("LAPTOP-7")}, "ak")))),
            "profile-identifiers");
  EXPECT_EQ(send(activation("S1", ak_)), "granted");
  const auto made = order(client_, {device("LAPTOP-7")});
  prove(client_, dns("a.example"));
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(ak_, CsrSpec{})))), "grant-missing");
}

TEST_F(AkGateTest, NoProfile_NotOffered) {
  config_.profiles.pop_back();
  open();
  EXPECT_EQ(send(activation("S1", ak_)), "ak-not-offered");
}

// ---- admission

TEST_F(AkGateTest, Admission_EachRefusal) {
  open();
  const auto with = [&](auto&& change) {
    auto grant = activation("S1", ak_);
    change(grant);
    return send(grant);
  };
  EXPECT_EQ(with([](auto& g) { g.identifiers.clear(); }), "identifier-malformed");
  EXPECT_EQ(with([](auto& g) { g.identifiers = {dns("a.example")}; }), "identifier-malformed");
  EXPECT_EQ(with([](auto& g) { g.identifiers = {device("a\n")}; }), "identifier-malformed");
  EXPECT_EQ(with([](auto& g) { g.identifiers.assign(9, device("D")); }), "grant-not-permitted");
  EXPECT_EQ(with([](auto& g) { g.session_sha256 = {}; }), "grant-not-permitted");
  EXPECT_EQ(with([](auto& g) { g.model = ""; }), "grant-not-permitted");
  EXPECT_EQ(with([](auto& g) { g.version = "\x01"; }), "grant-not-permitted");
  EXPECT_EQ(with([](auto& g) { g.spki.pop_back(); }), "ak-key-malformed");
  EXPECT_EQ(with([&](auto& g) { g.expires_at_ms = clock_.utc_ms(); }), "grant-expired");
  EXPECT_EQ(with([](auto& g) { g.expires_at_ms += 86'400'000; }), "grant-not-permitted");
}

// ---- a revoked certificate of an attestation key vouches for nothing

class AkRevokedTest : public AkGateTest {
 protected:
  void SetUp() override {
    config_.profiles.push_back(issue::make_profile("laptop", issue::ProfileKind::kDevice, 1));
    config_.profiles.back().attestations = {"measured_boot"};
    open();
    ASSERT_EQ(send(activation("S1", ak_)), "granted");
    ASSERT_EQ(ask(request(client_, "S1")), "issued");
  }
  Bytes serial() const { return last_.serial; }
  std::string revoke() {
    const auto reply = gate_->revoke(
        {client_.jwk(),
         client_.sign(std::string(kBaseUrl) + "/acme/revoke-cert",
                      R"({"certificate":")" + base64url_encode(last_.chain.at(0)) + "\"}")});
    return reply ? "revoked" : reply.error().code;
  }
  std::string vouch(const std::string& ticket, const std::optional<Bytes>& serial) {
    wire::GrantDevice grant;
    grant.thumbprint = client_.thumbprint();
    grant.identifier = device("LAPTOP-7");
    grant.format = "tpm";
    grant.ticket = ticket;
    grant.spki_sha256 = key_->public_key().spki_sha256();
    grant.expires_at_ms = clock_.utc_ms() + 3'600'000;
    grant.ak_serial = serial;
    const auto reply = gate_->grant_device(grant);
    return reply ? "granted" : reply.error().code;
  }
  std::string quote(const std::string& ticket, const std::optional<Bytes>& serial) {
    wire::GrantRemote grant;
    grant.thumbprint = client_.thumbprint();
    grant.hint = "measured_boot";
    grant.profile = "laptop";
    grant.policy = "boot/1";
    grant.ticket = ticket;
    grant.expires_at_ms = clock_.utc_ms() + 3'600'000;
    grant.ak_serial = serial;
    const auto reply = gate_->grant_remote(grant);
    return reply ? "granted" : reply.error().code;
  }
  std::string finalize(const wire::TicketMintReply& made) {
    return code(gate_->issue(client_.finalize(made, make_csr(*key_, {device("LAPTOP-7")}))));
  }
};

TEST_F(AkRevokedTest, NewStatement_AkRevoked_AlsoAfterARestart) {
  EXPECT_EQ(vouch("T1", serial()), "granted");
  EXPECT_EQ(quote("T1", serial()), "granted");
  EXPECT_EQ(revoke(), "revoked");
  EXPECT_EQ(vouch("T1", serial()), "ak-revoked");
  EXPECT_EQ(quote("T1", serial()), "ak-revoked");
  open();
  EXPECT_EQ(vouch("T1", serial()), "ak-revoked");
  EXPECT_EQ(quote("T1", serial()), "ak-revoked");
}

TEST_F(AkRevokedTest, AnotherCertificateOfTheKey_Vouches) {
  EXPECT_EQ(revoke(), "revoked");
  EXPECT_EQ(vouch("T1", std::nullopt), "granted");    // of another CA, with a longer serial
  EXPECT_EQ(vouch("T1", Bytes{0x01}), "granted");     // likewise
  EXPECT_EQ(send(activation("S2", ak_)), "granted");  // the TPM still holds the endorsement key
  EXPECT_EQ(ask(request(client_, "S2")), "issued");
  EXPECT_EQ(vouch("T1", serial()), "granted");
  EXPECT_EQ(quote("T1", serial()), "granted");
}

TEST_F(AkRevokedTest, BetweenStatementAndFinalize_AkRevoked) {
  const auto made = order(client_, {device("LAPTOP-7")});
  EXPECT_EQ(vouch(made.ticket, serial()), "granted");
  open();  // the journal keeps which certificate vouched
  EXPECT_EQ(revoke(), "revoked");
  EXPECT_EQ(finalize(made), "ak-revoked");
}

TEST_F(AkRevokedTest, BetweenQuoteAndFinalize_AkRevoked) {
  const auto made = gate_->mint_ticket(
      client_.new_order(TestClient::order_payload({device("LAPTOP-7")}, "laptop")));
  ASSERT_TRUE(made) << made.error().code;
  EXPECT_EQ(vouch(made->ticket, std::nullopt), "granted");
  EXPECT_EQ(quote(made->ticket, serial()), "granted");
  EXPECT_EQ(revoke(), "revoked");
  EXPECT_EQ(finalize(*made), "ak-revoked");
}

// ---- the book

TEST_F(AkGateTest, Book_FullAccountLosesItsOwn_FullBookRefuses) {
  const auto book = issue::AkBook::open(directory_.path("book"), clock_, {3, 2});
  ASSERT_TRUE(book);
  for (const char* session : {"S1", "S2", "S3"})
    EXPECT_TRUE((*book)->record(activation(session, ak_)));
  EXPECT_EQ((*book)->size(), 2u);
  auto grant = activation("S1", ak_);
  grant.thumbprint = other_.thumbprint();
  EXPECT_TRUE((*book)->record(grant));
  grant.thumbprint[0] ^= 1;
  const auto full = (*book)->record(grant);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, ErrorKind::kExhausted);
  clock_.advance(600'001);
  grant.expires_at_ms = clock_.utc_ms() + 1'000;
  EXPECT_TRUE((*book)->record(grant));
}

}  // namespace
}  // namespace keyward::test
