// Owns the JWS that carries a token (RFC 7515 compact, RFC 7519) or a CMW (compact or flattened
// JSON). Must not know what is signed; ACME's own JWS is firmware/jose's.
//
// Codes, in order: "jws.malformed", "jws.header" (kid, x5c, typ, cty of another form), "jws.crit",
// "jws.alg", "trust.*", "jws.signature". Threads: pure functions.
#pragma once

#include "firmware/rats/trust.h"

namespace keyward::rats {

struct VerifiedJws {
  Bytes payload;
  std::string typ;
  std::string cty;
  Signer signer;
};

Appraised<VerifiedJws> verify_compact(std::string_view token, const TrustAnchors& anchors);
// {"protected","payload","signature"} and nothing beside.
Appraised<VerifiedJws> verify_flattened(std::string_view json, const TrustAnchors& anchors);

struct JwsMake {
  std::string kid{};  // "": none
  std::string typ{};
  std::string cty{};
  std::vector<Bytes> x5c{};
  const SignatureAlgorithm* algorithm = nullptr;  // null: algorithm_for(key)
};
Result<std::string> make_compact(const crypto::PrivateKey& key, std::string_view payload,
                                 const JwsMake& make = {});

}  // namespace keyward::rats
