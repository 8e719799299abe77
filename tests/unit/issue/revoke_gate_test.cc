// Tests of revocation (RFC 8555 §7.6) and of proofs of possession at the gate: one for each way in
// and one for each refusal, and what a restart leaves of it.
#include <algorithm>

#include "firmware/issue/possession.h"
#include "firmware/jose/jws.h"
#include "hal/base/file.h"

#include "fixture.h"

namespace keyward::test {
namespace {

using issue::RevocationAuthority;
constexpr std::int64_t kHourMs = 3'600'000, kDayMs = 24 * kHourMs;
const std::string kRevokeUrl = std::string(kBaseUrl) + "/acme/revoke-cert";

template <class T>
std::string said(const issue::Verdict<T>& verdict) {
  return verdict ? "done" : verdict.error().code;
}
std::string revocation_of(const Bytes& der, std::optional<int> reason = std::nullopt) {
  return R"({"certificate":")" + base64url_encode(der) + "\"" +
         (reason ? ",\"reason\":" + std::to_string(*reason) : "") + "}";
}
// With the key in the header, as the holder of a certificate's key asks.
wire::ClientJws own_key_jws(const crypto::PrivateKey& key, const std::string& url,
                            const std::string& payload) {
  const auto jws = jose::sign(key, {url, "AAAA", std::nullopt, payload});
  return {jws->protected_b64, jws->payload_b64, jws->signature};
}

class RevokeGateTest : public GateTest {
 protected:
  Bytes certify(const TestClient& client, const std::vector<wire::Identifier>& names,
                const crypto::PrivateKey& key) {
    for (const auto& name : names) prove(client, name);
    const auto made = order(client, names);
    const auto reply = gate_->issue(client.finalize(made, make_csr(key, names)));
    EXPECT_TRUE(reply) << reply.error().code;
    return reply ? reply->chain[0] : Bytes();
  }
  Bytes certify(const TestClient& client, const std::string& name) {
    return certify(client, {dns(name)}, *key_);
  }
  wire::CertificateRevoke by_account(const TestClient& client, const std::string& payload) const {
    return {client.jwk(), client.sign(kRevokeUrl, payload)};
  }
  wire::CertificateRevoke by_key(const crypto::PrivateKey& key, const std::string& payload) const {
    return {std::nullopt, own_key_jws(key, kRevokeUrl, payload)};
  }
  std::vector<issue::RevocationRow> rows() const {
    std::vector<issue::RevocationRow> out;
    EXPECT_TRUE(
        issue::read_ledger(directory_.path("ledger"), [&](const auto& row, const auto&) -> Status {
          if (row.revocation) out.push_back(*row.revocation);
          return {};
        }));
    return out;
  }
  TestClient other_;
};

// ---- by whom

TEST_F(RevokeGateTest, Revoke_ByTheIssuingAccount_StandsInTheLedger) {
  open();
  const Bytes der = certify(client_, "a.example");
  const auto request = by_account(client_, revocation_of(der, 4));
  const auto reply = gate_->revoke(request);
  ASSERT_TRUE(reply) << reply.error().code;
  EXPECT_EQ(reply->reason, 4u);
  ASSERT_EQ(rows().size(), 1u);
  EXPECT_EQ(rows()[0].serial, reply->serial);
  EXPECT_EQ(rows()[0].authority, RevocationAuthority::kAccount);
  EXPECT_EQ(rows()[0].thumbprint, client_.thumbprint());
  EXPECT_FALSE(rows()[0].compromised_spki_sha256);
  EXPECT_EQ(ledger().revoked, 1u);
}

TEST_F(RevokeGateTest, Revoke_ByTheCertificatesKey_WithoutReason) {
  open();
  const Bytes der = certify(client_, "a.example");
  const auto reply = gate_->revoke(by_key(*key_, revocation_of(der)));
  ASSERT_TRUE(reply) << reply.error().code;
  EXPECT_FALSE(reply->reason);
  EXPECT_EQ(rows()[0].authority, RevocationAuthority::kCertificateKey);
}

TEST_F(RevokeGateTest, Revoke_ByWhoHasProvedAllNames_AndNobodyWithLess) {
  open();
  const Bytes der = certify(client_, {dns("a.example"), ip("192.0.2.1")}, *key_);
  EXPECT_EQ(said(gate_->revoke(by_account(other_, revocation_of(der)))), "revocation-unauthorized");
  prove(other_, dns("a.example"));
  EXPECT_EQ(said(gate_->revoke(by_account(other_, revocation_of(der)))), "revocation-unauthorized");
  prove(other_, ip("192.0.2.1"), 1'000);
  clock_.advance(1'000);
  EXPECT_EQ(said(gate_->revoke(by_account(other_, revocation_of(der)))), "revocation-unauthorized");
  prove(other_, ip("192.0.2.1"));
  EXPECT_EQ(said(gate_->revoke(by_account(other_, revocation_of(der)))), "done");
  EXPECT_EQ(rows()[0].authority, RevocationAuthority::kAuthorizations);
}

TEST_F(RevokeGateTest, Revoke_OfADevice_NotByAnotherAccountsProofs) {
  open();
  const auto made = order(client_, {device("SN-1")});
  attest(client_, device("SN-1"), made.ticket, key_->public_key());
  const auto reply = gate_->issue(client_.finalize(made, make_csr(*key_, CsrSpec{})));
  ASSERT_TRUE(reply);
  attest(other_, device("SN-1"), "other-ticket", key_->public_key());
  EXPECT_EQ(said(gate_->revoke(by_account(other_, revocation_of(reply->chain[0])))),
            "revocation-unauthorized");
  EXPECT_EQ(said(gate_->revoke(by_account(client_, revocation_of(reply->chain[0])))), "done");
}

TEST_F(RevokeGateTest, Revoke_ByAnotherKeyInTheHeader_RevocationUnauthorized) {
  open();
  const Bytes der = certify(client_, "a.example");
  // Also the account's own key, when it is shown as if it were the certificate's.
  const auto thief = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(said(gate_->revoke(by_key(*thief, revocation_of(der)))), "revocation-unauthorized");
  EXPECT_EQ(said(gate_->revoke(by_key(client_.key(), revocation_of(der)))),
            "revocation-unauthorized");
}

TEST_F(RevokeGateTest, Revoke_AfterAKeyChange_NewKeyMayAndOldMayNot) {
  open();
  const Bytes der = certify(client_, "a.example");
  const std::string url = std::string(kBaseUrl) + "/acme/key-change";
  const auto inner =
      jose::sign(other_.key(), {url, std::nullopt, std::nullopt,
                                R"({"account":")" + std::string(kBaseUrl) +
                                    R"(/acme/account/1","oldKey":)" + client_.jwk() + "}"});
  ASSERT_TRUE(gate_->change_key({client_.jwk(), client_.sign(url, jose::to_json(*inner))}));
  EXPECT_EQ(said(gate_->revoke(by_account(client_, revocation_of(der)))), "key-replaced");
  EXPECT_EQ(said(gate_->revoke(by_account(other_, revocation_of(der)))), "done");
}

// ---- forged

TEST_F(RevokeGateTest, Revoke_NotSignedOrSignedForSomethingElse_Refused) {
  open();
  const Bytes der = certify(client_, "a.example");
  auto forged = by_account(other_, revocation_of(der));
  forged.account_jwk = client_.jwk();
  EXPECT_EQ(said(gate_->revoke(forged)), "jws-signature");
  forged = by_account(client_, revocation_of(der));
  forged.account_jwk.reset();
  EXPECT_EQ(said(gate_->revoke(forged)), "jws-malformed");
  forged = by_key(*key_, revocation_of(der));
  forged.account_jwk = client_.jwk();
  EXPECT_EQ(said(gate_->revoke(forged)), "jws-signature");
  forged = by_key(*key_, revocation_of(der));
  forged.jws.payload_b64 = base64url_encode(view_of(revocation_of(der, 1)));
  EXPECT_EQ(said(gate_->revoke(forged)), "jws-signature");
  const std::string elsewhere = std::string(kBaseUrl) + "/acme/new-order";
  EXPECT_EQ(said(gate_->revoke({client_.jwk(), client_.sign(elsewhere, revocation_of(der))})),
            "jws-url");
  EXPECT_EQ(said(gate_->revoke({std::nullopt, own_key_jws(*key_, elsewhere, revocation_of(der))})),
            "jws-url");
  EXPECT_TRUE(rows().empty());
}

TEST_F(RevokeGateTest, Revoke_KeyInTheHeaderTooWeak_JwsKeyRefused) {
  open();
  const Bytes der = certify(client_, "a.example");
  auto request = by_key(*key_, revocation_of(der));
  request.jws.protected_b64 = base64url_encode(
      view_of(R"({"alg":"RS256","jwk":{"e":"AQAB","kty":"RSA","n":"sXchYQ"},"nonce":"AAAA",)"
              R"("url":")" +
              kRevokeUrl + R"("})"));
  EXPECT_EQ(said(gate_->revoke(request)), "jws-key-refused");
}

TEST_F(RevokeGateTest, Revoke_PayloadIsNone_PayloadMalformed) {
  open();
  const Bytes der = certify(client_, "a.example");
  const std::string text = base64url_encode(der);
  for (const auto& payload :
       {std::string("[]"), std::string("{}"), R"({"certificate":")" + text + "=\"}",
        std::string(R"({"certificate":"AAAA"})"),
        R"({"certificate":")" + text + R"(","reason":"1"})",
        R"({"certificate":")" + text + R"(","reason":-1})"})
    EXPECT_EQ(said(gate_->revoke(by_account(client_, payload))), "payload-malformed") << payload;
}

TEST_F(RevokeGateTest, Revoke_WhatWasNotIssuedHere_CertificateUnknown) {
  open();
  Bytes der = certify(client_, "a.example");
  EXPECT_EQ(said(gate_->revoke(by_account(client_, revocation_of(ca_->root_der)))),
            "certificate-unknown");
  der.back() ^= 1;  // the same serial, another signature
  EXPECT_EQ(said(gate_->revoke(by_account(client_, revocation_of(der)))), "certificate-unknown");
}

// ---- why, and how often

TEST_F(RevokeGateTest, Revoke_Reasons_AsTheyMayBeGiven) {
  open();
  const Bytes der = certify(client_, "a.example");
  for (const int reason : {2, 6, 7, 8, 10, 11, 1'000})
    EXPECT_EQ(said(gate_->revoke(by_key(*key_, revocation_of(der, reason)))), "revocation-reason")
        << reason;
  // Only the key's holder may take the key out of use.
  EXPECT_EQ(said(gate_->revoke(by_account(client_, revocation_of(der, 1)))), "revocation-reason");
  for (const int reason : {0, 3, 4, 5, 9}) {
    const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
    const Bytes one = certify(client_, {dns("a.example")}, *key);
    EXPECT_EQ(said(gate_->revoke(by_account(client_, revocation_of(one, reason)))), "done")
        << reason;
  }
}

TEST_F(RevokeGateTest, Revoke_Again_RevocationAlready_AlsoAfterARestart) {
  open();
  const Bytes der = certify(client_, "a.example");
  ASSERT_TRUE(gate_->revoke(by_account(client_, revocation_of(der))));
  EXPECT_EQ(said(gate_->revoke(by_key(*key_, revocation_of(der, 1)))), "revocation-already");
  open();
  EXPECT_EQ(said(gate_->revoke(by_account(client_, revocation_of(der)))), "revocation-already");
  EXPECT_EQ(rows().size(), 1u);
}

TEST_F(RevokeGateTest, Revoke_Expired_IsRevoked) {
  open();
  const Bytes der = certify(client_, "a.example");
  clock_.advance(100 * kDayMs);
  EXPECT_EQ(said(gate_->revoke(by_account(client_, revocation_of(der)))), "done");
}

TEST(CertificateIndex, SecondRevokerMeanwhile_RevocationBusy) {
  issue::CertificateIndex index;
  issue::IntentRow intent;
  intent.serial = Bytes(16, 0x41);
  EXPECT_EQ(said(index.claim(intent.serial)), "certificate-unknown");
  index.note_issued(intent, {});
  {
    const auto first = index.claim(intent.serial);
    ASSERT_TRUE(first);
    EXPECT_EQ(said(index.claim(intent.serial)), "revocation-busy");
  }
  EXPECT_TRUE(index.claim(intent.serial));
}

TEST_F(RevokeGateTest, CompromisedKey_IsNeverCertifiedAgain) {
  open();
  const Bytes der = certify(client_, "a.example");
  ASSERT_TRUE(gate_->revoke(by_key(*key_, revocation_of(der, 1))));
  EXPECT_EQ(rows()[0].compromised_spki_sha256, key_->public_key().spki_sha256());
  for (int i = 0; i < 2; ++i) {
    prove(other_, dns("b.example"));
    const auto made = order(other_, {dns("b.example")});
    EXPECT_EQ(code(gate_->issue(other_.finalize(made, make_csr(*key_, {dns("b.example")})))),
              "csr-key-compromised");
    open();
  }
}

// A ledger that says what cannot have happened is not read.
TEST_F(RevokeGateTest, LedgerWithARevocationThatCannotBe_Corrupt) {
  open();
  ASSERT_FALSE(certify(client_, "a.example").empty());
  issue::RevocationRow good;
  EXPECT_TRUE(
      issue::read_ledger(directory_.path("ledger"), [&](const auto& row, const auto&) -> Status {
        if (!row.intent) return {};
        good.intent_row = row.number;
        good.serial = row.intent->serial;
        return {};
      }));
  good.authority = RevocationAuthority::kAccount;
  std::vector<issue::RevocationRow> bad(4, good);
  bad[0].serial[3] ^= 1;
  bad[1].intent_row += 1;
  bad[2].reason = 1;  // keyCompromise without the key
  bad[3].compromised_spki_sha256 = Digest256{1};
  const auto nothing = [](const auto&, const auto&) -> Status { return {}; };
  const std::string first = issue::segment_path(directory_.path("ledger"), 0);
  const auto octets = *read_file(first, 1u << 20);
  for (const auto& row : bad) {
    open();
    ASSERT_TRUE(gate_->ledger().append_revocation(row));
    gate_.reset();
    EXPECT_EQ(issue::read_ledger(directory_.path("ledger"), nothing).error().kind,
              ErrorKind::kCorrupt);
    EXPECT_FALSE(try_open());
    write_file(first, octets);
  }
  open();
  ASSERT_TRUE(gate_->ledger().append_revocation(good));
  EXPECT_EQ(ledger().revoked, 1u);
  ASSERT_TRUE(gate_->ledger().append_revocation(good));
  gate_.reset();
  EXPECT_EQ(issue::read_ledger(directory_.path("ledger"), nothing).error().kind,
            ErrorKind::kCorrupt);
}

// ---- proof of possession

class PossessionGateTest : public RevokeGateTest {
 protected:
  PossessionGateTest() {
    config_.possession = true;
    config_.profiles = {issue::make_profile("server", issue::ProfileKind::kServer, 90)};
    config_.profiles[0].methods.push_back(wire::ValidationMethod::kPossession01);
  }
  std::string token(const TestClient& client, const wire::Identifier& id) {
    const auto reply = gate_->mint_possession({client.thumbprint(), id, clock_.utc_ms() + kHourMs});
    EXPECT_TRUE(reply) << reply.error().code;
    return reply ? reply->token : "";
  }
  static std::string statement(const TestClient& client, const std::string& name,
                               const std::string& token, const std::string& more = "",
                               const std::string& type = "proof-of-possession-01") {
    return R"({"type":")" + type + R"(","identifiers":[{"type":"dns","value":")" + name +
           R"("}],"accountKey":)" + client.jwk() + R"(,"token":")" + token + "\"" + more + "}";
  }
  wire::PossessionVerify proof(const TestClient& client, const std::string& name,
                               const std::string& token, const std::string& payload,
                               const std::string& url = std::string(kBaseUrl) +
                                                        "/acme/challenge/1") const {
    return {client.jwk(), dns(name), token, own_key_jws(*key_, url, payload)};
  }
  std::string judged(const wire::PossessionVerify& request) {
    const auto reply = gate_->verify_possession(request);
    if (!reply) return reply.error().code;
    return reply->problem ? reply->problem->code : "holds";
  }
  std::string issued(const TestClient& client, const std::string& name,
                     const crypto::PrivateKey& key) {
    const auto made = order(client, {dns(name)});
    return code(gate_->issue(client.finalize(made, make_csr(key, {dns(name)}))));
  }
};

TEST_F(PossessionGateTest, Possession_OfAValidCertificatesKey_IsAGrant) {
  open();
  certify(client_, "a.example");
  const auto text = token(other_, dns("a.example"));
  const auto reply = gate_->verify_possession(
      proof(other_, "a.example", text, statement(other_, "a.example", text)));
  ASSERT_TRUE(reply) << reply.error().code;
  ASSERT_FALSE(reply->problem) << reply->problem->code;
  EXPECT_EQ(reply->grant_expires_at_ms, clock_.utc_ms() + limits::kPossessionGrantMs);
  const auto next = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(issued(other_, "a.example", *next), "issued");
  // What was issued on a proof of possession proves nothing further.
  key_ = *next;
  TestClient third;
  const auto again = token(third, dns("a.example"));
  EXPECT_EQ(judged(proof(third, "a.example", again, statement(third, "a.example", again))),
            "possession-certificate");
}

TEST_F(PossessionGateTest, Possession_AfterARestart_FindsTheCertificate) {
  open();
  certify(client_, "a.example");
  const auto text = token(other_, dns("a.example"));
  open();
  EXPECT_EQ(judged(proof(other_, "a.example", text, statement(other_, "a.example", text))),
            "holds");
}

TEST_F(PossessionGateTest, Possession_ProfileWithoutIt_GrantMethod) {
  config_.profiles[0] = issue::make_profile("server", issue::ProfileKind::kServer, 90);
  open();
  certify(client_, "a.example");
  const auto text = token(other_, dns("a.example"));
  ASSERT_EQ(judged(proof(other_, "a.example", text, statement(other_, "a.example", text))),
            "holds");
  const auto next = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(issued(other_, "a.example", *next), "grant-method");
}

TEST_F(PossessionGateTest, Possession_Off_PossessionOff) {
  config_.possession = false;
  open();
  EXPECT_EQ(said(gate_->mint_possession({other_.thumbprint(), dns("a.example"), 1})),
            "possession-off");
  EXPECT_EQ(judged(proof(other_, "a.example", "t", statement(other_, "a.example", "t"))),
            "possession-off");
}

TEST_F(PossessionGateTest, Possession_OfDevicesOrTheAppliancesNames_PossessionIdentifier) {
  config_.names.appliance_names = {dns("ca.example")};
  open();
  for (const auto& id : {device("SN-1"), dns("ca.example")})
    EXPECT_EQ(said(gate_->mint_possession({other_.thumbprint(), id, clock_.utc_ms() + kHourMs})),
              "possession-identifier");
  EXPECT_EQ(said(gate_->mint_possession({other_.thumbprint(), dns("*.a.example"), 1})),
            "identifier-malformed");
}

TEST_F(PossessionGateTest, Possession_TokenOfAnotherAccountNameOrTime_Refused) {
  open();
  certify(client_, "a.example");
  const auto text = token(client_, dns("a.example"));
  EXPECT_EQ(judged(proof(other_, "a.example", text, statement(other_, "a.example", text))),
            "possession-token");
  const auto elsewhere = token(other_, dns("b.example"));
  EXPECT_EQ(
      judged(proof(other_, "a.example", elsewhere, statement(other_, "a.example", elsewhere))),
      "possession-token");
  const auto made_up = base64url_encode(Bytes(56, 1));
  EXPECT_EQ(judged(proof(other_, "a.example", made_up, statement(other_, "a.example", made_up))),
            "possession-token");
  const auto good = token(other_, dns("a.example"));
  const auto fresh = token(other_, dns("a.example"));
  EXPECT_EQ(judged(proof(other_, "a.example", fresh, statement(other_, "a.example", good))),
            "possession-token");
  clock_.advance(kHourMs);
  EXPECT_EQ(judged(proof(other_, "a.example", good, statement(other_, "a.example", good))),
            "possession-token-expired");
}

TEST_F(PossessionGateTest, Possession_StatementSaysSomethingElse_Refused) {
  open();
  certify(client_, "a.example");
  const auto text = token(other_, dns("a.example"));
  EXPECT_EQ(judged(proof(other_, "a.example", text, statement(client_, "a.example", text))),
            "possession-account");
  EXPECT_EQ(judged(proof(other_, "a.example", text, statement(other_, "b.example", text))),
            "possession-identifier");
  EXPECT_EQ(judged(proof(other_, "a.example", text,
                         statement(other_, "a.example", text, R"(,"more":1)"))),
            "possession-payload");
  EXPECT_EQ(
      judged(proof(other_, "a.example", text, statement(other_, "a.example", text, "", "http-01"))),
      "possession-payload");
  EXPECT_EQ(judged(proof(other_, "a.example", text, "{}")), "possession-payload");
  EXPECT_EQ(judged(proof(other_, "a.example", text, statement(other_, "a.example", text),
                         "https://other.example/acme/challenge/1")),
            "possession-url");
  auto forged = proof(other_, "a.example", text, statement(client_, "a.example", text));
  forged.authorization.payload_b64 =
      base64url_encode(view_of(statement(other_, "a.example", text)));
  EXPECT_EQ(judged(forged), "jws-signature");
}

TEST_F(PossessionGateTest, Possession_NoSuchOrRevokedOrExpiredCertificate_PossessionCertificate) {
  open();
  auto text = token(other_, dns("a.example"));
  const auto ask = [&] {
    return judged(proof(other_, "a.example", text, statement(other_, "a.example", text)));
  };
  EXPECT_EQ(ask(), "possession-certificate");
  certify(client_, "b.example");
  EXPECT_EQ(ask(), "possession-certificate");
  const Bytes der = certify(client_, "a.example");
  EXPECT_EQ(ask(), "holds");
  ASSERT_TRUE(gate_->revoke(by_account(client_, revocation_of(der))));
  EXPECT_EQ(ask(), "possession-certificate");
  certify(client_, "a.example");
  EXPECT_EQ(ask(), "holds");
  clock_.advance(91 * kDayMs);
  text = token(other_, dns("a.example"));
  EXPECT_EQ(ask(), "possession-certificate");
}

// ---- alternate chains

TEST_F(RevokeGateTest, AlternateChain_OfThisIssuer_IsShown_AnotherIsRefused) {
  open();
  const auto now_ms = clock_.utc_ms();
  const auto cross = make_test_ca(token_.key().spki_der());  // another root, the same name and key
  const auto chain = issue::load_alternate_chain(cross.chain_pem, gate_->issuer(), now_ms);
  ASSERT_TRUE(chain) << chain.error().what;
  ASSERT_EQ(chain->size(), 1u);
  EXPECT_EQ(chain->front(), cross.issuing_der);
  const auto stranger = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  const auto other = make_test_ca(stranger->public_key().spki_der());
  EXPECT_EQ(issue::load_alternate_chain(other.chain_pem, gate_->issuer(), now_ms).error().kind,
            ErrorKind::kRefused);
  config_.alternate_chains = {{*chain}};
  open();
  ASSERT_EQ(gate_->issuer_chain()->alternates.size(), 1u);
  EXPECT_EQ(gate_->issuer_chain()->alternates[0].certificates, *chain);
}

}  // namespace
}  // namespace keyward::test
