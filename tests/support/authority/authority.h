// Owns a make-believe token authority (RFC 9447) for tests: a root, a certificate, and tokens each
// part of which can be made wrong alone. Must not know the verifier.
#pragma once

#include <optional>
#include <string>

#include "firmware/crypto/crypto.h"
#include "firmware/wire/messages/common.h"
#include "firmware/x509/certificate.h"

namespace keyward::test {

inline constexpr std::string_view kX5u = "https://authority.example/cert";
inline constexpr std::string_view kTnAuthList = "MAigBhYENzA5Sg";  // SPC 709J

struct AuthorityTokenSpec {
  std::string header_alg = "ES256";
  std::string x5u = std::string(kX5u);
  bool x5c = false;                                  // instead of x5u
  std::optional<std::string> header = std::nullopt;  // the whole of it
  std::string tktype = "TNAuthList";
  std::string tkvalue = std::string(kTnAuthList) + "==";
  Digest256 thumbprint{};
  std::optional<std::string> fingerprint = std::nullopt;  // else of `thumbprint`
  std::string ca = "false";                               // JSON; empty: no member
  std::string jti = "token-1";
  std::optional<std::int64_t> exp_s = std::nullopt;  // else an hour ahead
  std::optional<std::int64_t> nbf_s = std::nullopt;
  std::optional<std::string> claims = std::nullopt;  // the whole payload
  bool other_key = false;                            // signed by a key without certificate
  std::string other_payload = {};                         // put in after signing
};

struct AuthorityChainSpec {
  bool leaf_is_ca = false;
  bool no_digital_signature = false;
  bool expired = false;
  bool other_root = false;  // of the same name, another key
  crypto::KeyKind leaf_key = crypto::KeyKind::kEcP256;
};

class AuthorityMaker {
 public:
  explicit AuthorityMaker(std::int64_t at_utc_ms, const AuthorityChainSpec& chain = {});
  const x509::Certificate& root() const { return *root_; }
  std::string root_pem() const;
  const Bytes& leaf_der() const { return leaf_der_; }
  std::string chain_pem() const;  // leaf, then root
  std::string token(const AuthorityTokenSpec& spec) const;

 private:
  std::int64_t at_utc_ms_;
  std::optional<crypto::PrivateKey> root_key_, leaf_key_, other_key_;
  std::optional<x509::Certificate> root_;
  Bytes leaf_der_;
};
std::string fingerprint_text(const Digest256& thumbprint);  // "SHA256 56:3E:…"

}  // namespace keyward::test
