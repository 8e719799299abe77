// Owns JWS as ACME uses it (RFC 8555 §6.2; RFC 7515 flattened JSON). Must not know accounts or
// nonces.
//
// Order is forced by types: FlattenedJws (three base64url texts; nothing read inside but the
// protected header, which must be read to find the key) -> verify() -> VerifiedJws, the only way to
// a payload. Errors: kBadInput (malformed), kRefused (signature, algorithm). Threads: values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "firmware/jose/jwk.h"

namespace keyward::jose {

enum class JwsAlgorithm : std::uint8_t {
  kEs256 = 1,
  kEs384 = 2,
  kEs512 = 3,
  kEdDsa = 4,
  kRs256 = 5
};
std::optional<JwsAlgorithm> jws_algorithm_from(std::string_view alg);  // never "none", never HS*
std::string_view to_string(JwsAlgorithm algorithm);
// ES256, ES384, EdDSA, RS256 (what the product accepts from clients).
bool is_accepted(JwsAlgorithm algorithm);
// The algorithm fits the key's kind (RFC 7518 §3.1): else a signature is never even tried.
bool fits(JwsAlgorithm algorithm, const crypto::PublicKey& key);
// The signature of a JWS that is not ACME's, e.g. of a token (RFC 7515 §5.2): over the two texts as
// they came. kRefused: not accepted, does not fit the key, or not this key's.
Status verify_signature(JwsAlgorithm algorithm, const crypto::PublicKey& key,
                        std::string_view protected_b64, std::string_view payload_b64,
                        ByteView signature);

// The protected header, read strictly: object, no duplicate members, `crit` and `b64` refused,
// exactly one of jwk and kid, alg and url present. `nonce` may be absent here; ACME's outer JWS
// requires it.
struct ProtectedHeader {
  std::string alg_text;
  std::optional<JwsAlgorithm> alg;  // absent: unknown or not accepted -> badSignatureAlgorithm
  std::string url;
  std::optional<std::string> nonce;
  std::optional<std::string> kid;
  std::optional<Jwk> jwk;
  bool jwk_refused = false;      // a jwk was there and of a kind or size we refuse -> badPublicKey
  const char* jwk_problem = "";  // with jwk_refused: why (static text)
};
Result<ProtectedHeader> parse_protected(std::string_view protected_b64);

struct FlattenedJws {
  std::string protected_b64;
  std::string payload_b64;
  Bytes signature;
  // From a request body: exactly the members protected, payload, signature (others are refused:
  // "header", "signatures"); unpadded base64url (RFC 8555 §6.1).
  static Result<FlattenedJws> parse(std::string_view body);
};

class VerifiedJws {
 public:
  const ProtectedHeader& header() const { return header_; }
  const Bytes& payload() const { return payload_; }
  bool payload_is_empty() const { return payload_.empty(); }  // POST-as-GET

 private:
  friend Result<VerifiedJws> verify(const FlattenedJws&, const crypto::PublicKey&);
  VerifiedJws(ProtectedHeader header, Bytes payload)
      : header_(std::move(header)), payload_(std::move(payload)) {}
  ProtectedHeader header_;
  Bytes payload_;
};

// Verifies with `key` (the account's or the header's jwk: the caller decides, and checks that it
// may). Inside: parse_protected, algorithm accepted and fits the key, signature, then payload
// decoded.
Result<VerifiedJws> verify(const FlattenedJws& jws, const crypto::PublicKey& key);

// Client side (agent, appliance's own certificate, tests). Exactly one of kid/jwk.
struct SignRequest {
  std::string url;
  std::optional<std::string> nonce;
  std::optional<std::string> kid;  // absent: the key's jwk is embedded
  std::string payload;             // "" for POST-as-GET
};
Result<FlattenedJws> sign(const crypto::PrivateKey& key, const SignRequest& request);
std::string to_json(const FlattenedJws& jws);

}  // namespace keyward::jose
