// Owns what tests of issuance share: a small CA above any issuing key, and a client that signs its
// requests. Must not know the signer. A failure inside ends the test program. Threads: values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "firmware/wire/messages/certificate_issue.h"
#include "firmware/wire/messages/ticket_mint.h"
#include "firmware/x509/tbs.h"

namespace keyward::test {

inline constexpr std::string_view kBaseUrl = "https://ca.test.example:14000";

// ---- a CA

struct TestCaSpec {
  std::vector<std::string> permitted_dns;
  std::int64_t not_before_ms = 0;  // 0: an hour ago
  std::int64_t not_after_ms = 0;   // 0: in ten years
  bool ca = true;
  bool may_sign = true;
  bool may_sign_lists = true;
};
struct TestCa {
  std::string chain_pem;  // issuing, then root
  Bytes issuing_der;
  Bytes root_der;
};
// A root with a software key, and a certificate of it for the issuing key.
TestCa make_test_ca(const Bytes& issuing_spki, const TestCaSpec& spec = {});

// ---- a client

struct CsrSpec {
  std::vector<x509::NameAttribute> subject;
  std::vector<Bytes> extensions;  // whole Extension TLVs
  std::optional<Bytes> spki;      // instead of the key's
  bool break_signature = false;
};
Bytes make_csr(const crypto::PrivateKey& key, const CsrSpec& spec);
// SAN for these identifiers, as a well-behaved client asks.
Bytes make_csr(const crypto::PrivateKey& key, const std::vector<wire::Identifier>& identifiers);

wire::Identifier dns(std::string value);
wire::Identifier ip(std::string value);
wire::Identifier device(std::string value);

class TestClient {
 public:
  explicit TestClient(crypto::KeyKind kind = crypto::KeyKind::kEcP256);
  const crypto::PrivateKey& key() const { return *key_; }
  const std::string& jwk() const { return jwk_; }
  const Digest256& thumbprint() const { return thumbprint_; }

  // `kid` empty: the account's URL of the appliance's own part.
  wire::ClientJws sign(const std::string& url, const std::string& payload,
                       const std::string& kid = "") const;
  wire::TicketMint new_order(const std::string& payload) const;
  wire::TicketMint new_order(const std::vector<wire::Identifier>& identifiers) const;
  wire::CertificateIssue finalize(const wire::TicketMintReply& order, ByteView csr_der) const;
  static std::string order_payload(const std::vector<wire::Identifier>& identifiers,
                                   const std::string& profile = "");
  static std::string finalize_url(const std::string& ticket);

 private:
  std::optional<crypto::PrivateKey> key_;
  std::string jwk_;
  Digest256 thumbprint_{};
};

}  // namespace keyward::test
