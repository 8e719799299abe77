// Tests of what the gate does to accounts: key changes, admitted accounts, withdrawn proofs. One
// for each way in and one for each refusal, and what a restart leaves of it.
#include "firmware/issue/account_grants.h"
#include "firmware/issue/key_links.h"
#include "firmware/jose/jws.h"
#include "hal/base/file.h"

#include "fixture.h"

namespace keyward::test {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;
const std::string kChangeUrl = std::string(kBaseUrl) + "/acme/key-change";
const std::string kAccountUrl = std::string(kBaseUrl) + "/acme/account/1";

template <class T>
std::string said(const issue::Verdict<T>& verdict) {
  return verdict ? "done" : verdict.error().code;
}

struct Change {
  std::string inner_url = kChangeUrl;
  std::string account = kAccountUrl;
  std::optional<std::string> nonce;
  std::optional<std::string> inner_kid;  // instead of the new key's jwk
  const TestClient* old_key = nullptr;   // named in the payload; absent: the one that signs
  const TestClient* inner_signer = nullptr;
};
std::string inner_of(const TestClient& from, const TestClient& to, const Change& change = {}) {
  const auto& named = change.old_key != nullptr ? *change.old_key : from;
  const std::string payload =
      R"({"account":")" + change.account + R"(","oldKey":)" + named.jwk() + "}";
  auto jws = jose::sign(to.key(), {change.inner_url, change.nonce, change.inner_kid, payload});
  if (change.inner_signer != nullptr) {
    const auto other = jose::sign(change.inner_signer->key(),
                                  {change.inner_url, change.nonce, change.inner_kid, payload});
    jws->signature = other->signature;
  }
  return jose::to_json(*jws);
}
wire::KeyChange key_change(const TestClient& from, const TestClient& to,
                           const Change& change = {}) {
  return {from.jwk(), from.sign(kChangeUrl, inner_of(from, to, change))};
}

class AccountGateTest : public GateTest {
 protected:
  std::string issued(const TestClient& client, const std::string& name) {
    const auto made = order(client, {dns(name)});
    const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
    return code(gate_->issue(client.finalize(made, make_csr(*key, {dns(name)}))));
  }
  wire::GrantAccount admission(const TestClient& client, const std::string& kid) const {
    wire::GrantAccount grant;
    grant.thumbprint = client.thumbprint();
    grant.kid = kid;
    grant.expires_at_ms = clock_.utc_ms() + 1'000 * kHourMs;
    return grant;
  }
  wire::GrantWithdraw withdrawal(const TestClient& client, const wire::Identifier& id,
                                 const std::string& payload = R"({"status":"deactivated"})",
                                 const std::string& path = "/acme/authz/abc") const {
    return {client.jwk(), client.sign(std::string(kBaseUrl) + path, payload), id};
  }
  TestClient next_;
};

// ---- key change

TEST_F(AccountGateTest, KeyChange_Good_NewKeyHasTheProofsAndTickets) {
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")});
  const auto reply = gate_->change_key(key_change(client_, next_));
  ASSERT_TRUE(reply) << reply.error().code;
  EXPECT_EQ(reply->thumbprint, next_.thumbprint());
  EXPECT_EQ(code(gate_->issue(next_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "issued");
  EXPECT_EQ(issued(next_, "a.example"), "issued");
}

TEST_F(AccountGateTest, KeyChange_OldKey_KeyReplaced) {
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")});
  ASSERT_TRUE(gate_->change_key(key_change(client_, next_)));
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("a.example")}))), "key-replaced");
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*key_, {dns("a.example")})))),
            "key-replaced");
  EXPECT_EQ(said(gate_->withdraw_grants(withdrawal(client_, dns("a.example")))), "key-replaced");
  TestClient third;
  EXPECT_EQ(said(gate_->change_key(key_change(client_, third))), "key-replaced");
}

TEST_F(AccountGateTest, KeyChange_OrderThatWasIssued_IsStillAnswered) {
  open();
  prove(client_, dns("a.example"));
  const auto made = order(client_, {dns("a.example")});
  const auto request = client_.finalize(made, make_csr(*key_, {dns("a.example")}));
  ASSERT_EQ(code(gate_->issue(request)), "issued");
  ASSERT_TRUE(gate_->change_key(key_change(client_, next_)));
  const auto again = gate_->issue(request);
  ASSERT_TRUE(again) << again.error().code;
  EXPECT_TRUE(again->replayed);
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  EXPECT_EQ(code(gate_->issue(client_.finalize(made, make_csr(*other, {dns("a.example")})))),
            "key-replaced");
}

TEST_F(AccountGateTest, KeyChange_AfterARestart_StandsAsBefore) {
  open();
  prove(client_, dns("a.example"));
  ASSERT_TRUE(gate_->change_key(key_change(client_, next_)));
  TestClient third;
  ASSERT_TRUE(gate_->change_key(key_change(next_, third)));
  open();
  EXPECT_EQ(code(gate_->mint_ticket(client_.new_order({dns("a.example")}))), "key-replaced");
  EXPECT_EQ(code(gate_->mint_ticket(next_.new_order({dns("a.example")}))), "key-replaced");
  EXPECT_EQ(issued(third, "a.example"), "issued");
}

TEST_F(AccountGateTest, KeyChange_TheSameAgain_IsDoneAlready_ButNotAfterAnother) {
  open();
  ASSERT_TRUE(gate_->change_key(key_change(client_, next_)));
  EXPECT_EQ(said(gate_->change_key(key_change(client_, next_))), "done");
  TestClient third;
  ASSERT_TRUE(gate_->change_key(key_change(next_, third)));
  EXPECT_EQ(said(gate_->change_key(key_change(client_, next_))), "key-replaced");
}

TEST_F(AccountGateTest, KeyChange_BackOrToAnothersKey_KeyAlreadyLinked) {
  open();
  ASSERT_TRUE(gate_->change_key(key_change(client_, next_)));
  EXPECT_EQ(said(gate_->change_key(key_change(next_, client_))), "key-already-linked");
  TestClient stranger;
  EXPECT_EQ(said(gate_->change_key(key_change(stranger, next_))), "key-already-linked");
  EXPECT_EQ(said(gate_->change_key(key_change(stranger, client_))), "key-already-linked");
}

TEST_F(AccountGateTest, KeyChange_ToTheSameKey_KeyChangeSame) {
  open();
  EXPECT_EQ(said(gate_->change_key(key_change(client_, client_))), "key-change-same");
}

TEST_F(AccountGateTest, KeyChange_OuterByAnotherKey_JwsSignature) {
  open();
  TestClient thief;
  const auto made = key_change(thief, next_);
  EXPECT_EQ(said(gate_->change_key({client_.jwk(), made.jws})), "jws-signature");
}

TEST_F(AccountGateTest, KeyChange_OuterForAnotherUrl_JwsUrl) {
  open();
  const wire::KeyChange request{
      client_.jwk(),
      client_.sign(std::string(kBaseUrl) + "/acme/new-order", inner_of(client_, next_))};
  EXPECT_EQ(said(gate_->change_key(request)), "jws-url");
}

TEST_F(AccountGateTest, KeyChange_InnerSignedByAnother_KeyChangeSignature) {
  open();
  TestClient thief;
  Change change;
  change.inner_signer = &thief;
  EXPECT_EQ(said(gate_->change_key(key_change(client_, next_, change))), "key-change-signature");
}

TEST_F(AccountGateTest, KeyChange_InnerForAnotherUrl_KeyChangeUrl) {
  open();
  Change change;
  change.inner_url = "https://other.example/acme/key-change";
  EXPECT_EQ(said(gate_->change_key(key_change(client_, next_, change))), "key-change-url");
}

TEST_F(AccountGateTest, KeyChange_InnerForAnotherAccount_KeyChangeAccount) {
  open();
  Change change;
  change.account = std::string(kBaseUrl) + "/acme/account/2";
  EXPECT_EQ(said(gate_->change_key(key_change(client_, next_, change))), "key-change-account");
}

TEST_F(AccountGateTest, KeyChange_InnerNamesAnotherOldKey_KeyChangeOldKey) {
  open();
  TestClient other;
  Change change;
  change.old_key = &other;
  EXPECT_EQ(said(gate_->change_key(key_change(client_, next_, change))), "key-change-old-key");
}

TEST_F(AccountGateTest, KeyChange_InnerWithNonceOrKidOrNoJws_KeyChangeMalformed) {
  open();
  Change nonce;
  nonce.nonce = "AAAA";
  EXPECT_EQ(said(gate_->change_key(key_change(client_, next_, nonce))), "key-change-malformed");
  Change kid;
  kid.inner_kid = kAccountUrl;
  EXPECT_EQ(said(gate_->change_key(key_change(client_, next_, kid))), "key-change-malformed");
  for (const auto* payload : {"", "{}", R"({"protected":"e30","payload":"","signature":"AAAA"})"})
    EXPECT_EQ(said(gate_->change_key({client_.jwk(), client_.sign(kChangeUrl, payload)})),
              "key-change-malformed")
        << payload;
}

TEST_F(AccountGateTest, KeyChange_InnerAlgorithmNotOfItsKey_KeyChangeAlgorithm) {
  open();
  const auto inner = jose::sign(next_.key(), {kChangeUrl, std::nullopt, std::nullopt, "{}"});
  auto forged = *inner;
  forged.protected_b64 = base64url_encode(
      view_of(R"({"alg":"HS256","jwk":)" + next_.jwk() + R"(,"url":")" + kChangeUrl + R"("})"));
  EXPECT_EQ(
      said(gate_->change_key({client_.jwk(), client_.sign(kChangeUrl, jose::to_json(forged))})),
      "key-change-algorithm");
}

TEST_F(AccountGateTest, KeyChange_NewKeyTooWeak_KeyChangeKey) {
  open();
  const auto inner = jose::sign(next_.key(), {kChangeUrl, std::nullopt, std::nullopt, "{}"});
  auto forged = *inner;
  forged.protected_b64 = base64url_encode(
      view_of(R"({"alg":"RS256","jwk":{"e":"AQAB","kty":"RSA","n":"sXchYQ"},"url":")" + kChangeUrl +
              R"("})"));
  EXPECT_EQ(
      said(gate_->change_key({client_.jwk(), client_.sign(kChangeUrl, jose::to_json(forged))})),
      "key-change-key");
}

TEST_F(AccountGateTest, KeyChange_BudgetIsTheAccounts) {
  config_.account_per_hour = 1;
  open();
  prove(client_, dns("a.example"));
  ASSERT_EQ(issued(client_, "a.example"), "issued");
  ASSERT_TRUE(gate_->change_key(key_change(client_, next_)));
  EXPECT_EQ(issued(next_, "a.example"), "rate-account");
  open();
  EXPECT_EQ(issued(next_, "a.example"), "rate-account");
}

TEST(KeyLinks, Limits_AreKept) {
  TempDir directory;
  issue::KeyLinks::Caps caps;
  caps.links_max = 3;
  caps.earlier_max = 2;
  auto links = issue::KeyLinks::open(directory.path("links"), caps);
  ASSERT_TRUE(links);
  const auto key = [](std::uint8_t n) { return Digest256{n}; };
  ASSERT_TRUE((*links)->link(key(1), key(2), 0));
  ASSERT_TRUE((*links)->link(key(2), key(3), 0));
  EXPECT_EQ(said((*links)->link(key(3), key(4), 0)), "key-change-limit");
  EXPECT_EQ((*links)->with_earlier(key(3)), (std::vector<Digest256>{key(3), key(2), key(1)}));
  EXPECT_EQ((*links)->origin(key(3)), key(1));
  EXPECT_EQ((*links)->origin(key(9)), key(9));
  ASSERT_TRUE((*links)->link(key(5), key(6), 0));
  EXPECT_EQ(said((*links)->link(key(7), key(8), 0)), "key-links-full");
}

TEST(KeyLinks, DamagedFile_IsNotOpened) {
  TempDir directory;
  const auto path = directory.path("links");
  {
    auto links = issue::KeyLinks::open(path);
    ASSERT_TRUE((*links)->link(Digest256{1}, Digest256{2}, 0));
    ASSERT_TRUE((*links)->link(Digest256{2}, Digest256{3}, 0));
  }
  auto octets = *read_file(path, 10'000);
  octets[12] ^= 1;
  write_file(path, octets);
  EXPECT_EQ(issue::KeyLinks::open(path).error().kind, ErrorKind::kCorrupt);
}

// ---- accounts admitted by a credential

TEST_F(AccountGateTest, Admission_Required_OthersAreRefused) {
  config_.external_account_required = true;
  open();
  EXPECT_TRUE(gate_->issuer_chain()->external_account_required);
  prove(client_, dns("a.example"));
  EXPECT_EQ(issued(client_, "a.example"), "account-not-admitted");
  ASSERT_TRUE(gate_->grant_account(admission(client_, "kid-1")));
  EXPECT_EQ(issued(client_, "a.example"), "issued");
  open();
  EXPECT_EQ(issued(client_, "a.example"), "issued");
}

TEST(OwnCertificate, EveryNameTheAppliances_AndAtLeastOne) {
  issue::Grant own;
  own.method = wire::ValidationMethod::kAppliance;
  issue::Grant other;
  other.method = wire::ValidationMethod::kHttp01;
  EXPECT_TRUE(issue::is_own_certificate({own, own}));
  EXPECT_FALSE(issue::is_own_certificate({own, other}));
  EXPECT_FALSE(issue::is_own_certificate({}));
}

TEST_F(AccountGateTest, Admission_Ended_AccountNotAdmitted) {
  config_.external_account_required = true;
  open();
  prove(client_, dns("a.example"));
  auto grant = admission(client_, "kid-1");
  grant.expires_at_ms = clock_.utc_ms() + 1'000;
  ASSERT_TRUE(gate_->grant_account(grant));
  clock_.advance(1'000);
  EXPECT_EQ(issued(client_, "a.example"), "account-not-admitted");
}

TEST_F(AccountGateTest, Admission_ToOtherProfiles_AccountProfile) {
  open();
  prove(client_, dns("a.example"));
  auto grant = admission(client_, "kid-1");
  grant.profiles = {"device"};
  ASSERT_TRUE(gate_->grant_account(grant));
  EXPECT_EQ(issued(client_, "a.example"), "account-profile");
  grant.profiles = {"device", "server"};
  ASSERT_TRUE(gate_->grant_account(grant));
  EXPECT_EQ(issued(client_, "a.example"), "issued");
}

TEST_F(AccountGateTest, Admission_QuotaOfTheCredential_CountsOverAccountsKeysAndRestarts) {
  open();
  TestClient second;
  for (const auto* client : {&client_, &second}) {
    auto grant = admission(*client, "kid-1");
    grant.quota = 2;
    ASSERT_TRUE(gate_->grant_account(grant));
    prove(*client, dns("a.example"));
  }
  EXPECT_EQ(issued(client_, "a.example"), "issued");
  EXPECT_EQ(issued(second, "a.example"), "issued");
  EXPECT_EQ(issued(client_, "a.example"), "account-quota");
  open();
  EXPECT_EQ(issued(second, "a.example"), "account-quota");
  ASSERT_TRUE(gate_->change_key(key_change(client_, next_)));
  EXPECT_EQ(issued(next_, "a.example"), "account-quota");
}

TEST_F(AccountGateTest, Admission_RefusedRequest_CostsNoQuota) {
  open();
  auto grant = admission(client_, "kid-1");
  grant.quota = 1;
  ASSERT_TRUE(gate_->grant_account(grant));
  prove(client_, dns("a.example"));
  token_.state = hal::TokenState::kAway;
  EXPECT_EQ(issued(client_, "a.example"), "hsm-away");
  token_.state = hal::TokenState::kReady;
  EXPECT_EQ(issued(client_, "a.example"), "issued");
}

TEST_F(AccountGateTest, Admission_Withdrawn_AccountWithdrawnForGood) {
  open();
  prove(client_, dns("a.example"));
  ASSERT_TRUE(gate_->grant_account(admission(client_, "kid-1")));
  auto withdrawn = admission(client_, "kid-1");
  withdrawn.withdrawn = true;
  ASSERT_TRUE(gate_->grant_account(withdrawn));
  EXPECT_EQ(issued(client_, "a.example"), "account-withdrawn");
  open();
  EXPECT_EQ(said(gate_->grant_account(admission(next_, "kid-1"))), "account-withdrawn");
  EXPECT_EQ(issued(client_, "a.example"), "account-withdrawn");
  ASSERT_TRUE(gate_->change_key(key_change(client_, next_)));
  EXPECT_EQ(issued(next_, "a.example"), "account-withdrawn");
}

TEST_F(AccountGateTest, Admission_OfNobodyOrByNothing_GrantNotPermitted) {
  open();
  EXPECT_EQ(said(gate_->grant_account(admission(client_, ""))), "grant-not-permitted");
  auto grant = admission(client_, "kid-1");
  grant.thumbprint = {};
  EXPECT_EQ(said(gate_->grant_account(grant)), "grant-not-permitted");
  grant = admission(client_, "kid-1");
  grant.expires_at_ms = clock_.utc_ms();
  EXPECT_EQ(said(gate_->grant_account(grant)), "grant-expired");
}

TEST_F(AccountGateTest, Admission_WithdrawnBeforeItWasHeardOf_AccountWithdrawn) {
  open();
  prove(client_, dns("a.example"));
  auto withdrawn = admission(client_, "kid-1");
  withdrawn.withdrawn = true;
  ASSERT_TRUE(gate_->grant_account(withdrawn));
  EXPECT_EQ(issued(client_, "a.example"), "account-withdrawn");
}

TEST(AccountGrants, Full_AccountsFull) {
  TempDir directory;
  auto grants = issue::AccountGrants::open(directory.path("accounts"), true, 1);
  ASSERT_TRUE(grants);
  wire::GrantAccount grant;
  grant.thumbprint = Digest256{1};
  grant.kid = "kid-1";
  grant.expires_at_ms = 10;
  ASSERT_TRUE((*grants)->record(grant, 0));
  ASSERT_TRUE((*grants)->record(grant, 0));
  grant.thumbprint = Digest256{2};
  EXPECT_EQ(said((*grants)->record(grant, 0)), "accounts-full");
}

// ---- authorities

TEST_F(AccountGateTest, Authority_ForNamesOrWithoutOrderOrEnded_GrantNotPermitted) {
  open();
  wire::GrantAuthority grant{client_.thumbprint(),      dns("a.example"),          "ticket",
                             clock_.utc_ms() + kHourMs, clock_.utc_ms() + kHourMs, {}};
  EXPECT_EQ(said(gate_->grant_authority(grant)), "grant-not-permitted");
  // TNAuthList (RFC 8226 §9): one service provider code "1234".
  grant.identifier = {wire::IdentifierType::kTnAuthList,
                      base64url_encode(*hex_decode("3008a006160431323334"))};
  EXPECT_EQ(said(gate_->grant_authority(grant)), "done");
  grant.ticket = "";
  EXPECT_EQ(said(gate_->grant_authority(grant)), "grant-not-permitted");
  grant.ticket = "ticket";
  grant.not_after_max_ms = clock_.utc_ms();
  EXPECT_EQ(said(gate_->grant_authority(grant)), "grant-not-permitted");
  grant.not_after_max_ms = clock_.utc_ms() + kHourMs;
  grant.identifier.value += "!";
  EXPECT_EQ(said(gate_->grant_authority(grant)), "identifier-malformed");
}

// ---- proofs given back

TEST_F(AccountGateTest, Withdraw_TheAccountsOwnProofs_AreGoneForGood) {
  open();
  TestClient other;
  prove(client_, dns("a.example"));
  prove(client_, dns("b.example"));
  prove(other, dns("a.example"));
  ASSERT_TRUE(gate_->change_key(key_change(client_, next_)));
  ASSERT_EQ(said(gate_->withdraw_grants(withdrawal(next_, dns("a.example")))), "done");
  EXPECT_EQ(issued(next_, "a.example"), "grant-missing");
  open();
  EXPECT_EQ(issued(next_, "a.example"), "grant-missing");
  EXPECT_EQ(issued(next_, "b.example"), "issued");
  EXPECT_EQ(issued(other, "a.example"), "issued");
}

TEST_F(AccountGateTest, Withdraw_WithoutTheClientsWord_Refused) {
  open();
  prove(client_, dns("a.example"));
  auto forged = withdrawal(next_, dns("a.example"));
  forged.account_jwk = client_.jwk();
  EXPECT_EQ(said(gate_->withdraw_grants(forged)), "jws-signature");
  EXPECT_EQ(said(gate_->withdraw_grants(withdrawal(client_, dns("a.example"), "{}"))),
            "payload-malformed");
  for (const auto* path : {"/acme/account/1", "/acme/authz/", "/acme/order/1"})
    EXPECT_EQ(said(gate_->withdraw_grants(
                  withdrawal(client_, dns("a.example"), R"({"status":"deactivated"})", path))),
              "jws-url")
        << path;
  EXPECT_EQ(issued(client_, "a.example"), "issued");
}

}  // namespace
}  // namespace keyward::test
