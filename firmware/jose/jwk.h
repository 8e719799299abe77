// Owns JSON Web Keys: parse, canonical form, RFC 7638 thumbprint. Must not know JWS or ACME.
// Errors: kBadInput (malformed), kRefused (key type or size not allowed). Threads: values.
#pragma once

#include <string>
#include <string_view>

#include "firmware/crypto/crypto.h"
#include "firmware/json/json.h"

namespace keyward::jose {

// A public JWK: EC P-256/P-384/P-521, RSA 2048..4096, OKP Ed25519. A JWK with private members is
// refused.
class Jwk {
 public:
  static Result<Jwk> from_json(const json::Value& value);
  static Result<Jwk> from_canonical(
      std::string_view text);  // refuses any text that is not canonical()
  static Result<Jwk> from_public_key(const crypto::PublicKey& key);

  const std::string& canonical() const {
    return canonical_;
  }  // RFC 7638 §3: required members, sorted, compact
  const Digest256& thumbprint() const { return thumbprint_; }  // SHA-256 of canonical()
  std::string thumbprint_text() const;                         // base64url
  const crypto::PublicKey& key() const { return key_; }

 private:
  Jwk(std::string canonical, crypto::PublicKey key);
  std::string canonical_;
  Digest256 thumbprint_;
  crypto::PublicKey key_;
};

// token "." base64url(thumbprint): RFC 8555 §8.1.
std::string key_authorization(std::string_view token, const Digest256& thumbprint);

}  // namespace keyward::jose
