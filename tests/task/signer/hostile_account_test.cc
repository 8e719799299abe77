// The acceptance test of the product, continued: what a front end that was taken over may try with
// accounts, their keys, revocation and proofs of possession. It speaks raw frames to the real
// signer; after every attempt: signatures that the module made == intents in the ledger, no
// certificate that no validation authorised, and no revocation that nobody entitled asked for.
#include <gtest/gtest.h>

#include "firmware/jose/jws.h"
#include "firmware/wire/messages/certificate_revoke.h"
#include "firmware/wire/messages/grant_account.h"
#include "firmware/wire/messages/grant_authority.h"
#include "firmware/wire/messages/grant_withdraw.h"
#include "firmware/wire/messages/issuer_get.h"
#include "firmware/wire/messages/key_change.h"
#include "firmware/wire/messages/possession_mint.h"
#include "firmware/wire/messages/possession_verify.h"
#include "tests/support/signer_stage/signer_stage.h"

namespace keyward::test {
namespace {

using wire::TaskId;
constexpr int kExitProtocol = 70;
const std::string kBase(kBaseUrl);
const std::string kChangeUrl = kBase + "/acme/key-change", kRevokeUrl = kBase + "/acme/revoke-cert",
                  kAccountUrl = kBase + "/acme/account/1";

std::string inner_of(const crypto::PrivateKey& signer, const TestClient& from) {
  const auto jws =
      jose::sign(signer, {kChangeUrl, std::nullopt, std::nullopt,
                          R"({"account":")" + kAccountUrl + R"(","oldKey":)" + from.jwk() + "}"});
  return jose::to_json(*jws);
}
wire::KeyChange key_change(const TestClient& from, const TestClient& to) {
  return {from.jwk(), from.sign(kChangeUrl, inner_of(to.key(), from))};
}
wire::ClientJws own_key_jws(const crypto::PrivateKey& key, const std::string& url,
                            const std::string& payload) {
  const auto jws = jose::sign(key, {url, "AAAA", std::nullopt, payload});
  return {jws->protected_b64, jws->payload_b64, jws->signature};
}
std::string revocation_of(const Bytes& der, const std::string& more = "") {
  return R"({"certificate":")" + base64url_encode(der) + "\"" + more + "}";
}

class HostileStage : public ::testing::Test {
 protected:
  static void start(const std::string& toml) {
    stage_ = std::make_unique<SignerStage>(toml);
    stage_->start();
  }
  static void TearDownTestSuite() { stage_.reset(); }
  void SetUp() override {
    issued_before_ = stage_->ledger().issued;
    revoked_before_ = stage_->ledger().revoked;
  }
  void TearDown() override { in_step(); }

  void in_step() {
    const auto ledger = stage_->ledger();
    EXPECT_EQ(stage_->signatures(), ledger.signatures_intended());
    EXPECT_EQ(ledger.issued - issued_before_, issued_);
    EXPECT_EQ(ledger.revoked - revoked_before_, revoked_);
    EXPECT_TRUE(stage_->alive()) << stage_->log();
  }
  template <class Request>
  std::string said(TaskId edge, const Request& request) {
    const auto reply = stage_->call(edge, request);
    in_step();
    return reply ? "done" : reply.error().code;
  }
  std::string revoke(const wire::CertificateRevoke& request) {
    const auto reply = stage_->call(TaskId::kAcme, request);
    if (reply) ++revoked_;
    in_step();
    return reply ? "done" : reply.error().code;
  }
  template <class Request>
  void fatal(TaskId edge, const Request& request) {
    stage_->send(edge, wire::encode_frame(stage_->next_id(), request));
    EXPECT_EQ(stage_->wait_exit(), kExitProtocol);
    EXPECT_EQ(stage_->signatures(), stage_->ledger().signatures_intended());
    stage_->start();
  }
  // The certificate that an order for a proved name gets, or none.
  std::optional<Bytes> finalize(const TestClient& client, const std::string& name,
                                const crypto::PrivateKey& key) {
    const auto made = stage_->call(TaskId::kAcme, client.new_order({dns(name)}));
    if (!made) {
      refused_ = made.error().code;
      return std::nullopt;
    }
    const auto reply =
        stage_->call(TaskId::kAcme, client.finalize(*made, make_csr(key, {dns(name)})));
    refused_ = reply ? "issued" : reply.error().code;
    if (reply) ++issued_;
    in_step();
    return reply ? std::optional(reply->chain[0]) : std::nullopt;
  }
  std::string attempt(const TestClient& client, const std::string& name) {
    const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
    (void)finalize(client, name, *key);
    return refused_;
  }
  wire::GrantAccount admission(const TestClient& client, const std::string& kid) const {
    wire::GrantAccount grant;
    grant.thumbprint = client.thumbprint();
    grant.kid = kid;
    grant.expires_at_ms = system_clock().utc_ms() + 3'600'000;
    return grant;
  }
  wire::GrantName name_grant(const TestClient& client, const std::string& name,
                             wire::ValidationMethod method) const {
    wire::GrantName grant;
    grant.thumbprint = client.thumbprint();
    grant.identifier = dns(name);
    grant.method = method;
    grant.expires_at_ms = system_clock().utc_ms() + 3'600'000;
    return grant;
  }

  static std::unique_ptr<SignerStage> stage_;
  TestClient victim_;
  TestClient thief_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  std::string refused_;
  std::uint64_t issued_before_ = 0, revoked_before_ = 0;
  std::uint64_t issued_ = 0, revoked_ = 0;  // that this test is entitled to
};
std::unique_ptr<SignerStage> HostileStage::stage_;

class HostileAccount : public HostileStage {
 protected:
  static void SetUpTestSuite() {
    start(
        "budgets.account_per_hour = 1000\npossession = true\n"
        "profiles.server.methods = [\"http-01\", \"dns-persist-01\", \"proof-of-possession-01\"]");
  }
};

// ---- key changes

TEST_F(HostileAccount, HonestKeyChange_CarriesProofsOver) {
  ASSERT_TRUE(stage_->prove(victim_, dns("a.example")));
  TestClient next;
  ASSERT_EQ(said(TaskId::kAcme, key_change(victim_, next)), "done");
  EXPECT_EQ(attempt(next, "a.example"), "issued");
  EXPECT_EQ(attempt(victim_, "a.example"), "key-replaced");
}

// The thief's key to follow the victim's, so that the victim's proofs become the thief's.
TEST_F(HostileAccount, KeyChangeThatTheVictimDidNotSign_Refused) {
  ASSERT_TRUE(stage_->prove(victim_, dns("a.example")));
  wire::KeyChange forged{victim_.jwk(), thief_.sign(kChangeUrl, inner_of(thief_.key(), victim_))};
  EXPECT_EQ(said(TaskId::kAcme, forged), "jws-signature");
  // The victim signed something; its payload is swapped.
  forged.jws = victim_.sign(kChangeUrl, "");
  forged.jws.payload_b64 = base64url_encode(view_of(inner_of(thief_.key(), victim_)));
  EXPECT_EQ(said(TaskId::kAcme, forged), "jws-signature");
  // The victim signed an order, shown as a key change.
  forged.jws = victim_.new_order({dns("a.example")}).jws;
  EXPECT_EQ(said(TaskId::kAcme, forged), "jws-url");
  EXPECT_EQ(attempt(thief_, "a.example"), "no-grant");
}

// The victim changes to its own new key; the inner JWS is swapped for the thief's.
TEST_F(HostileAccount, KeyChangeWithTheInnerSwapped_Refused) {
  ASSERT_TRUE(stage_->prove(victim_, dns("a.example")));
  TestClient next;
  auto request = key_change(victim_, next);
  request.jws.payload_b64 = base64url_encode(view_of(inner_of(thief_.key(), victim_)));
  EXPECT_EQ(said(TaskId::kAcme, request), "jws-signature");
  EXPECT_EQ(attempt(thief_, "a.example"), "no-grant");
}

// The thief takes the victim's proofs by making the victim's key its own successor.
TEST_F(HostileAccount, KeyChangeToTheVictimsKey_Refused) {
  ASSERT_TRUE(stage_->prove(victim_, dns("a.example")));
  const std::string inner = inner_of(victim_.key(), victim_);  // signed for another old key
  EXPECT_EQ(said(TaskId::kAcme, wire::KeyChange{thief_.jwk(), thief_.sign(kChangeUrl, inner)}),
            "key-change-old-key");
  EXPECT_EQ(attempt(thief_, "a.example"), "no-grant");
}

TEST_F(HostileAccount, EarlierKeyChangePlayedAgain_Refused) {
  TestClient second, third;
  const auto first_change = key_change(victim_, second);
  ASSERT_EQ(said(TaskId::kAcme, first_change), "done");
  ASSERT_EQ(said(TaskId::kAcme, key_change(second, third)), "done");
  EXPECT_EQ(said(TaskId::kAcme, first_change), "key-replaced");
  EXPECT_EQ(said(TaskId::kAcme, key_change(victim_, thief_)), "key-replaced");
  EXPECT_EQ(said(TaskId::kAcme, key_change(third, second)), "key-already-linked");
}

TEST_F(HostileAccount, KeyChangeOutlivesAKill) {
  ASSERT_TRUE(stage_->prove(victim_, dns("a.example")));
  TestClient next;
  ASSERT_EQ(said(TaskId::kAcme, key_change(victim_, next)), "done");
  stage_->kill();
  stage_->start();
  EXPECT_EQ(attempt(victim_, "a.example"), "key-replaced");
  EXPECT_EQ(attempt(next, "a.example"), "issued");
}

// ---- revocation

TEST_F(HostileAccount, RevocationThatNobodyEntitledSigned_Refused) {
  ASSERT_TRUE(stage_->prove(victim_, dns("a.example")));
  const auto der = finalize(victim_, "a.example", key_);
  ASSERT_TRUE(der);
  EXPECT_EQ(revoke({thief_.jwk(), thief_.sign(kRevokeUrl, revocation_of(*der))}),
            "revocation-unauthorized");
  EXPECT_EQ(revoke({victim_.jwk(), thief_.sign(kRevokeUrl, revocation_of(*der))}), "jws-signature");
  EXPECT_EQ(revoke({std::nullopt, own_key_jws(thief_.key(), kRevokeUrl, revocation_of(*der))}),
            "revocation-unauthorized");
  // Signed for something else, or about another certificate.
  EXPECT_EQ(revoke({victim_.jwk(), victim_.new_order(revocation_of(*der)).jws}), "jws-url");
  const auto other =
      finalize(victim_, "a.example", *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
  ASSERT_TRUE(other);
  wire::CertificateRevoke swapped{victim_.jwk(), victim_.sign(kRevokeUrl, revocation_of(*other))};
  swapped.jws.payload_b64 = base64url_encode(view_of(revocation_of(*der)));
  EXPECT_EQ(revoke(swapped), "jws-signature");
  // The client gave no reason; the front end adds one.
  wire::CertificateRevoke reason{std::nullopt, own_key_jws(key_, kRevokeUrl, revocation_of(*der))};
  reason.jws.payload_b64 = base64url_encode(view_of(revocation_of(*der, ",\"reason\":1")));
  EXPECT_EQ(revoke(reason), "jws-signature");
}

// Proofs of some of the names, or of another account, are not proofs of all.
TEST_F(HostileAccount, RevocationOnProofsOfOthers_Refused) {
  ASSERT_TRUE(stage_->prove(victim_, dns("b.example")));
  const auto der = finalize(victim_, "b.example", key_);
  ASSERT_TRUE(der);
  ASSERT_TRUE(stage_->prove(thief_, dns("other.example")));
  EXPECT_EQ(revoke({thief_.jwk(), thief_.sign(kRevokeUrl, revocation_of(*der))}),
            "revocation-unauthorized");
  // For another account URL than the one that is signed with.
  auto grant = name_grant(thief_, "b.example", wire::ValidationMethod::kHttp01);
  grant.account_url = kBase + "/acme/account/2";
  ASSERT_TRUE(stage_->call(TaskId::kValidation, grant));
  EXPECT_EQ(revoke({thief_.jwk(), thief_.sign(kRevokeUrl, revocation_of(*der))}),
            "revocation-unauthorized");
}

TEST_F(HostileAccount, HonestRevocation_OnceAndForGood_CompromisedKeyIsOut) {
  ASSERT_TRUE(stage_->prove(victim_, dns("c.example")));
  const auto der = finalize(victim_, "c.example", key_);
  ASSERT_TRUE(der);
  const wire::CertificateRevoke request{
      std::nullopt, own_key_jws(key_, kRevokeUrl, revocation_of(*der, ",\"reason\":1"))};
  EXPECT_EQ(revoke(request), "done");
  EXPECT_EQ(revoke(request), "revocation-already");
  EXPECT_FALSE(finalize(victim_, "c.example", key_));
  EXPECT_EQ(refused_, "csr-key-compromised");
  stage_->kill();
  stage_->start();
  EXPECT_EQ(revoke(request), "revocation-already");
  EXPECT_FALSE(finalize(victim_, "c.example", key_));
  EXPECT_EQ(refused_, "csr-key-compromised");
}

// ---- grants that count only here

TEST_F(HostileAccount, ProofByAMethodThatTheProfileRulesOut_Refused) {
  ASSERT_TRUE(stage_->call(TaskId::kValidation,
                           name_grant(victim_, "d.example", wire::ValidationMethod::kDns01)));
  EXPECT_EQ(attempt(victim_, "d.example"), "grant-method");
}

TEST_F(HostileAccount, ProofForAnotherAccountUrl_Refused) {
  auto grant = name_grant(victim_, "e.example", wire::ValidationMethod::kDnsPersist01);
  grant.account_url = kBase + "/acme/account/2";  // requests are signed with .../1
  ASSERT_TRUE(stage_->call(TaskId::kValidation, grant));
  EXPECT_EQ(attempt(victim_, "e.example"), "grant-account-url");
  grant.account_url = kAccountUrl;
  ASSERT_TRUE(stage_->call(TaskId::kValidation, grant));
  EXPECT_EQ(attempt(victim_, "e.example"), "issued");
}

TEST_F(HostileAccount, PossessionAssertedByAValidator_Refused) {
  EXPECT_EQ(said(TaskId::kValidation,
                 name_grant(victim_, "f.example", wire::ValidationMethod::kPossession01)),
            "grant-not-permitted");
  EXPECT_EQ(said(TaskId::kValidation,
                 name_grant(victim_, "f.example", wire::ValidationMethod::kTkauth01)),
            "grant-not-permitted");
}

TEST_F(HostileAccount, AdmissionsAndAuthoritiesOnOtherSockets_Fatal) {
  const auto account = admission(victim_, "kid-1");
  const wire::GrantAuthority authority{victim_.thumbprint(), dns("a.example"), "ticket", 1, 1, {}};
  for (const auto edge : {TaskId::kAcme, TaskId::kValidation}) {
    fatal(edge, account);
    fatal(edge, authority);
  }
}

TEST_F(HostileAccount, ClientsRequestsOnOtherSockets_Fatal) {
  for (const auto edge : {TaskId::kValidation, TaskId::kAttestation}) {
    fatal(edge, key_change(victim_, thief_));
    fatal(edge, wire::CertificateRevoke{victim_.jwk(), victim_.sign(kRevokeUrl, "{}")});
    fatal(edge, wire::GrantWithdraw{victim_.jwk(), victim_.sign(kBase, "{}"), dns("a.example")});
    fatal(edge, wire::PossessionMint{victim_.thumbprint(), dns("a.example"), 1});
  }
}

TEST_F(HostileAccount, AuthorityForAName_Refused) {
  const auto now_ms = system_clock().utc_ms();
  EXPECT_EQ(said(TaskId::kAttestation, wire::GrantAuthority{victim_.thumbprint(),
                                                            dns("a.example"),
                                                            "ticket",
                                                            now_ms + 1'000,
                                                            now_ms + 1'000,
                                                            {}}),
            "grant-not-permitted");
}

// ---- withdrawal: only takes away, and only on the client's word

TEST_F(HostileAccount, WithdrawalThatTheClientDidNotSign_Refused) {
  ASSERT_TRUE(stage_->prove(victim_, dns("g.example")));
  const std::string url = kBase + "/acme/authz/1";
  wire::GrantWithdraw forged{victim_.jwk(), thief_.sign(url, R"({"status":"deactivated"})"),
                             dns("g.example")};
  EXPECT_EQ(said(TaskId::kAcme, forged), "jws-signature");
  forged.jws = victim_.sign(url, "");  // POST-as-GET of the authorization
  EXPECT_EQ(said(TaskId::kAcme, forged), "payload-malformed");
  EXPECT_EQ(attempt(victim_, "g.example"), "issued");
  forged.jws = victim_.sign(url, R"({"status":"deactivated"})");
  EXPECT_EQ(said(TaskId::kAcme, forged), "done");
  EXPECT_EQ(attempt(victim_, "g.example"), "grant-missing");
}

// ---- proof of possession

TEST_F(HostileAccount, PossessionStatementForAnotherAccountOrToken_NoGrant) {
  ASSERT_TRUE(stage_->prove(victim_, dns("h.example")));
  ASSERT_TRUE(finalize(victim_, "h.example", key_));
  const auto expires_ms = system_clock().utc_ms() + 60'000;
  const auto token = [&](const TestClient& client, const std::string& name) {
    return stage_
        ->call(TaskId::kAcme, wire::PossessionMint{client.thumbprint(), dns(name), expires_ms})
        ->token;
  };
  const auto statement = [&](const TestClient& client, const std::string& text) {
    return own_key_jws(key_, kBase + "/acme/challenge/1",
                       R"({"type":"proof-of-possession-01","identifiers":[{"type":"dns",)"
                       R"("value":"h.example"}],"accountKey":)" +
                           client.jwk() + R"(,"token":")" + text + "\"}");
  };
  const auto judged = [&](const wire::PossessionVerify& request) {
    const auto reply = stage_->call(TaskId::kAcme, request);
    if (!reply) return reply.error().code;
    return reply->problem ? reply->problem->code : std::string("holds");
  };
  // The victim's good statement, used for the thief's account; and the thief's own challenge.
  const auto good = token(victim_, "h.example"), stolen = token(thief_, "h.example");
  const wire::PossessionVerify honest{victim_.jwk(), dns("h.example"), good,
                                      statement(victim_, good)};
  auto forged = honest;
  forged.account_jwk = thief_.jwk();
  EXPECT_EQ(judged(forged), "possession-token");
  forged.token = stolen;
  EXPECT_EQ(judged(forged), "possession-token");
  forged.authorization.payload_b64 = statement(thief_, stolen).payload_b64;
  EXPECT_EQ(judged(forged), "jws-signature");
  // A key that no certificate was made out to.
  forged.authorization =
      own_key_jws(thief_.key(), kBase + "/acme/challenge/1",
                  std::string(text_of(*base64url_decode(statement(thief_, stolen).payload_b64))));
  EXPECT_EQ(judged(forged), "possession-certificate");
  // Another name than the certificate's.
  forged = honest;
  forged.identifier = dns("i.example");
  EXPECT_EQ(judged(forged), "possession-token");
  EXPECT_EQ(attempt(thief_, "h.example"), "no-grant");
  EXPECT_EQ(judged(honest), "holds");
}

// ---- where accounts need a credential

class HostileAdmission : public HostileStage {
 protected:
  static void SetUpTestSuite() {
    start("budgets.account_per_hour = 1000\nexternal_account_required = true");
  }
};

TEST_F(HostileAdmission, AccountThatWasNotAdmitted_Refused) {
  ASSERT_TRUE(stage_->prove(thief_, dns("a.example")));
  EXPECT_EQ(attempt(thief_, "a.example"), "account-not-admitted");
  // Another's admission does not help.
  ASSERT_TRUE(stage_->call(TaskId::kAttestation, admission(victim_, "kid-1")));
  EXPECT_EQ(attempt(thief_, "a.example"), "account-not-admitted");
  ASSERT_TRUE(stage_->prove(victim_, dns("a.example")));
  EXPECT_EQ(attempt(victim_, "a.example"), "issued");
}

TEST_F(HostileAdmission, QuotaUsedUp_RefusedOverKeysAndKills) {
  auto grant = admission(victim_, "kid-2");
  grant.quota = 1;
  ASSERT_TRUE(stage_->call(TaskId::kAttestation, grant));
  ASSERT_TRUE(stage_->prove(victim_, dns("a.example")));
  EXPECT_EQ(attempt(victim_, "a.example"), "issued");
  EXPECT_EQ(attempt(victim_, "a.example"), "account-quota");
  TestClient next;
  ASSERT_EQ(said(TaskId::kAcme, key_change(victim_, next)), "done");
  EXPECT_EQ(attempt(next, "a.example"), "account-quota");
  stage_->kill();
  stage_->start();
  EXPECT_EQ(attempt(next, "a.example"), "account-quota");
}

TEST_F(HostileAdmission, CredentialWithdrawn_RefusedForGood) {
  ASSERT_TRUE(stage_->call(TaskId::kAttestation, admission(victim_, "kid-3")));
  ASSERT_TRUE(stage_->prove(victim_, dns("a.example")));
  auto withdrawn = admission(victim_, "kid-3");
  withdrawn.withdrawn = true;
  ASSERT_TRUE(stage_->call(TaskId::kAttestation, withdrawn));
  EXPECT_EQ(attempt(victim_, "a.example"), "account-withdrawn");
  EXPECT_EQ(said(TaskId::kAttestation, admission(victim_, "kid-3")), "account-withdrawn");
  stage_->kill();
  stage_->start();
  EXPECT_EQ(attempt(victim_, "a.example"), "account-withdrawn");
}

}  // namespace
}  // namespace keyward::test
