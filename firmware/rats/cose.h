// Owns COSE_Sign1 (RFC 9052 §4.2) and COSE_Key (RFC 9052 §7, RFC 9053 §7). Must not know what is
// signed.
//
// The only way to a payload is verify_sign1: alg from the protected header, key chosen, signature
// verified. Codes, in order: "cose.malformed", "cose.header" (a label twice, in the wrong bucket or of
// the wrong type; x5chain empty), "cose.crit", "cose.alg" (missing in the protected header, or not
// accepted), "cose.payload" (detached), "trust.*", "cose.signature". Threads: pure functions.
#pragma once

#include "firmware/rats/trust.h"
#include "firmware/rats/value.h"

namespace keyward::rats {

struct VerifiedSign1 {
  Bytes payload;
  std::string content_type;                    // protected, text; "" if none or a number
  std::optional<std::int64_t> content_format;  // protected, a CoAP content format
  Signer signer;
};

// With or without tag 18; in a CWT (RFC 8392 §6) tag 61 may stand before.
Appraised<VerifiedSign1> verify_sign1(ByteView bytes, const TrustAnchors& anchors);

// Public keys alone: EC2 with both coordinates, OKP Ed25519, RSA. kBadInput; kRefused (a private
// member, another type).
Result<crypto::PublicKey> key_from_cose(const Value& cose_key);
Bytes cose_key_from(const crypto::PublicKey& key);

struct Sign1Make {
  std::string kid{};           // unprotected; "": none
  std::string content_type{};  // protected; "": none
  std::vector<Bytes> x5chain{};
  bool cwt_tag = false;
  const SignatureAlgorithm* algorithm = nullptr;  // null: algorithm_for(key)
};
Result<Bytes> make_sign1(const crypto::PrivateKey& key, ByteView payload,
                         const Sign1Make& make = {});

}  // namespace keyward::rats
