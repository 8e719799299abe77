// A front end that was taken over and attestation keys: it gets no certificate for a key that was not
// activated, none for another account or session, and a revoked one vouches for no device any more,
// whatever was granted before and over a restart. After each attempt: signatures == intents.
#include <gtest/gtest.h>

#include "firmware/wire/messages/ak_issue.h"
#include "firmware/wire/messages/certificate_revoke.h"
#include "firmware/wire/messages/grant_ak.h"
#include "firmware/x509/csr.h"
#include "tests/support/signer_stage/signer_stage.h"

namespace keyward::test {
namespace {

using wire::TaskId;
constexpr int kExitProtocol = 70;
const std::string kActivateUrl = std::string(kBaseUrl) + "/acme/attestation-ca/activate";
const std::string kRevokeUrl = std::string(kBaseUrl) + "/acme/revoke-cert";

class HostileAttestationKey : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    stage_ = std::make_unique<SignerStage>(
        "budgets.account_per_hour = 1000\nprofiles.ak.kind = \"attestation-key\"\n"
        "profiles.ak.days = 30\n");
    stage_->start();
  }
  static void TearDownTestSuite() { stage_.reset(); }
  void SetUp() override { issued_before_ = stage_->ledger().issued; }
  void TearDown() override { in_step(); }

  void in_step() {
    const auto ledger = stage_->ledger();
    EXPECT_EQ(stage_->signatures(), ledger.signatures_intended());
    EXPECT_EQ(ledger.issued - issued_before_, expected_);
    EXPECT_TRUE(stage_->alive()) << stage_->log();
  }
  wire::GrantAk activation(const TestClient& client, const std::string& session) const {
    wire::GrantAk grant;
    grant.thumbprint = client.thumbprint();
    grant.session_sha256 = crypto::sha256(view_of(session));
    grant.spki = ak_.public_key().spki_der();
    grant.manufacturer = "id:00001014";
    grant.model = "swtpm";
    grant.version = "id:20191023";
    grant.identifiers = {device("LAPTOP-7")};
    grant.expires_at_ms = system_clock().utc_ms() + 600'000;
    return grant;
  }
  static wire::AkIssue request(const TestClient& client, const std::string& session) {
    return {client.jwk(),
            client.sign(kActivateUrl, R"({"session":")" + session + R"(","secret":"AAAA"})")};
  }
  std::string ask(const wire::AkIssue& message) {
    auto reply = stage_->call(TaskId::kAcme, message);
    if (reply && !reply->replayed) ++expected_;
    in_step();
    if (!reply) return reply.error().code;
    last_ = std::move(*reply);
    return "issued";
  }
  std::string vouch(const std::string& ticket) {
    wire::GrantDevice grant;
    grant.thumbprint = client_.thumbprint();
    grant.identifier = device("LAPTOP-7");
    grant.format = "tpm";
    grant.ticket = ticket;
    grant.spki_sha256 = key_.public_key().spki_sha256();
    grant.expires_at_ms = system_clock().utc_ms() + 3'600'000;
    grant.ak_serial = last_.serial;
    const auto reply = stage_->call(TaskId::kAttestation, grant);
    return reply ? "granted" : reply.error().code;
  }
  wire::TicketMintReply order() {
    auto reply = stage_->call(TaskId::kAcme, client_.new_order({device("LAPTOP-7")}));
    EXPECT_TRUE(reply) << reply.error().code;
    return reply ? *reply : wire::TicketMintReply{};
  }
  std::string finalize(const wire::TicketMintReply& made) {
    const auto reply =
        stage_->call(TaskId::kAcme, client_.finalize(made, make_csr(key_, {device("LAPTOP-7")})));
    if (reply && !reply->replayed) ++expected_;
    in_step();
    return reply ? "issued" : reply.error().code;
  }
  std::string revoke(const TestClient& client) {
    const auto reply =
        stage_->call(TaskId::kAcme,
                     wire::CertificateRevoke{
                         client.jwk(),
                         client.sign(kRevokeUrl, R"({"certificate":")" +
                                                     base64url_encode(last_.chain.at(0)) + "\"}")});
    return reply ? "revoked" : reply.error().code;
  }
  void activate() {
    ASSERT_TRUE(stage_->call(TaskId::kAttestation, activation(client_, "S1")));
    ASSERT_EQ(ask(request(client_, "S1")), "issued");
  }

  static std::unique_ptr<SignerStage> stage_;
  TestClient client_, thief_;
  crypto::PrivateKey ak_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  wire::AkIssueReply last_;
  std::uint64_t issued_before_ = 0;
  std::uint64_t expected_ = 0;
};
std::unique_ptr<SignerStage> HostileAttestationKey::stage_;

TEST_F(HostileAttestationKey, NotActivated_OrForAnother_Refused) {
  EXPECT_EQ(ask(request(client_, "S1")), "no-grant");
  ASSERT_TRUE(stage_->call(TaskId::kAttestation, activation(client_, "S1")));
  EXPECT_EQ(ask(request(thief_, "S1")), "no-grant");
  EXPECT_EQ(ask(request(client_, "S2")), "ak-grant-missing");
  ASSERT_TRUE(stage_->call(TaskId::kAttestation, activation(thief_, "T1")));
  EXPECT_EQ(ask(request(thief_, "S1")), "ak-grant-missing");
  auto swapped = request(thief_, "S1");
  swapped.account_jwk = client_.jwk();
  EXPECT_EQ(ask(swapped), "jws-signature");
  EXPECT_EQ(ask(request(client_, "S1")), "issued");
}

TEST_F(HostileAttestationKey, ActivationFromTheFrontEnd_Fatal) {
  stage_->send(TaskId::kAcme, wire::encode_frame(stage_->next_id(), activation(thief_, "S1")));
  EXPECT_EQ(stage_->wait_exit(), kExitProtocol);
  stage_->start();
  EXPECT_EQ(ask(request(thief_, "S1")), "no-grant");
}

TEST_F(HostileAttestationKey, Revoked_VouchesForNothing_AlsoAfterARestart) {
  activate();
  const auto made = order();
  EXPECT_EQ(vouch(made.ticket), "granted");
  EXPECT_EQ(revoke(thief_), "revocation-unauthorized");
  EXPECT_EQ(revoke(client_), "revoked");
  EXPECT_EQ(finalize(made), "ak-revoked");  // a finalize that was held back
  EXPECT_EQ(vouch(order().ticket), "ak-revoked");
  stage_->kill();
  stage_->start();
  EXPECT_EQ(finalize(made), "ak-revoked");
  EXPECT_EQ(vouch(order().ticket), "ak-revoked");
}

TEST_F(HostileAttestationKey, StandsUnrevoked_VouchesAndIsIssued) {
  activate();
  const auto made = order();
  EXPECT_EQ(vouch(made.ticket), "granted");
  EXPECT_EQ(finalize(made), "issued");
}

}  // namespace
}  // namespace keyward::test
