#include "fixture.h"

#include "hal/base/rng.h"

namespace keyward::test {

SoftwareToken::SoftwareToken() : key_(*crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)) {}

Result<hal::TokenKey> SoftwareToken::find_key(std::string_view label) {
  return hal::TokenKey{std::string(label),
                       hal::KeyAlgorithm::kEcdsaP256,
                       key().spki_der(),
                       true,
                       false,
                       true,
                       true,
                       true};
}

Result<Bytes> SoftwareToken::sign(std::string_view, ByteView message, Deadline, hal::SignPriority) {
  ++sign_calls;
  if (instead) {
    if (auto answer = instead()) return std::move(*answer);
  }
  return key_->sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, message);
}

Result<Bytes> SoftwareToken::random(std::size_t size) { return random_bytes(size); }

hal::TokenStatus SoftwareToken::status() {
  hal::TokenStatus out;
  out.state = state;
  return out;
}

GateTest::GateTest() : key_(*crypto::PrivateKey::generate(crypto::KeyKind::kEcP256)) {
  config_.base_url = kBaseUrl;
  config_.key_label = "issuing";
  config_.account_per_hour = 100;
  config_.overall_per_hour = 1'000;
}

bool GateTest::try_open() {
  gate_.reset();
  if (!ca_) ca_ = make_test_ca(token_.key().spki_der(), ca_spec_);
  auto issuer = issue::load_issuer(ca_->chain_pem, clock_.utc_ms());
  if (!issuer) return false;
  issuer->crl_url = crl_url_;
  auto gate = issue::Gate::open(directory_.root(), config_, std::move(*issuer), token_, clock_);
  if (!gate) return false;
  gate_ = std::move(*gate);
  gate_->set_key_ready(true);
  return true;
}

void GateTest::open() { ASSERT_TRUE(try_open()); }

// What the whole product promises: never a signature without an intent.
void GateTest::TearDown() {
  if (!gate_) return;
  const auto summary = ledger();
  EXPECT_EQ(summary.signatures_intended(), static_cast<std::uint64_t>(token_.sign_calls));
  EXPECT_TRUE(summary.open_intents.empty());
  EXPECT_TRUE(summary.open_lists.empty());
  EXPECT_TRUE(issue::verify_issued(directory_.path("ledger"), token_.key()));
}

issue::LedgerSummary GateTest::ledger() const {
  auto summary = issue::read_ledger(directory_.path("ledger"),
                                    [](const auto&, const auto&) -> Status { return {}; });
  EXPECT_TRUE(summary) << summary.error().what;
  return summary ? *summary : issue::LedgerSummary{};
}

Result<Bytes> GateTest::leaf_of(const wire::CertificateIssueReply& reply) const {
  return reply.chain.at(0);
}

wire::TicketMintReply GateTest::order(const TestClient& client,
                                      const std::vector<wire::Identifier>& identifiers) {
  auto reply = gate_->mint_ticket(client.new_order(identifiers));
  EXPECT_TRUE(reply) << reply.error().code;
  return reply ? *reply : wire::TicketMintReply{};
}

void GateTest::prove(const TestClient& client, const wire::Identifier& identifier,
                     std::int64_t lifetime_ms) {
  wire::GrantName grant;
  grant.thumbprint = client.thumbprint();
  grant.identifier = identifier;
  grant.method = wire::ValidationMethod::kHttp01;
  grant.expires_at_ms = clock_.utc_ms() + lifetime_ms;
  const auto reply = gate_->grant_name(grant);
  EXPECT_TRUE(reply) << reply.error().code;
}

void GateTest::attest(const TestClient& client, const wire::Identifier& identifier,
                      const std::string& ticket, const crypto::PublicKey& key) {
  wire::GrantDevice grant;
  grant.thumbprint = client.thumbprint();
  grant.identifier = identifier;
  grant.format = "tpm";
  grant.ticket = ticket;
  grant.spki_sha256 = key.spki_sha256();
  grant.expires_at_ms = clock_.utc_ms() + 3'600'000;
  const auto reply = gate_->grant_device(grant);
  EXPECT_TRUE(reply) << reply.error().code;
}

std::string GateTest::code(const issue::Verdict<wire::CertificateIssueReply>& verdict) const {
  return verdict ? "issued" : verdict.error().code;
}
std::string GateTest::code(const issue::Verdict<wire::TicketMintReply>& verdict) const {
  return verdict ? "minted" : verdict.error().code;
}

}  // namespace keyward::test
