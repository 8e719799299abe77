// Owns the one place where a signature over a token is verified: the algorithms, the keys that are
// trusted, and the chain of a certificate that came along. Must not know what is signed.
//
// Order: algorithm on the list -> keys that may sign -> signature. Nothing of a payload is read
// before. Codes: "trust.key" (no trusted key of that name and kind), "trust.certificate" (x5c or
// x5chain: unreadable, no path to a root, not for signatures), and the caller's own code for a
// signature that does not verify. Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/attest/refusal.h"
#include "firmware/x509/certificate.h"

namespace keyward::rats {

template <class T>
using Appraised = attest::Appraised<T>;
using attest::Refusal;
using attest::refuse;

// RFC 7518 §3.1, RFC 8037 §3.1 and RFC 9053 §2: the same ten under two names. Nothing symmetric.
struct SignatureAlgorithm {
  std::string_view jose;
  std::int64_t cose;
  std::optional<crypto::KeyKind> kind;
  crypto::SignatureScheme scheme;
  crypto::HashAlgorithm hash;
};
const SignatureAlgorithm* algorithm_from_jose(std::string_view name);  // null: not accepted
const SignatureAlgorithm* algorithm_from_cose(std::int64_t number);
// What a key of this kind signs with here (RSA: PS256).
const SignatureAlgorithm& algorithm_for(crypto::KeyKind kind);

struct TrustedKey {
  std::string kid;  // "": for any kid
  crypto::PublicKey key;
};

// An empty set trusts nothing.
struct TrustAnchors {
  std::vector<TrustedKey> keys;
  std::vector<x509::Certificate> roots;  // for tokens that bring x5c or x5chain
  std::int64_t at_utc_ms = 0;            // chains, exp and nbf are judged at this time
};

struct SignerHint {
  const SignatureAlgorithm* algorithm = nullptr;
  std::optional<Bytes> kid;
  std::vector<Bytes> x5c;  // DER, leaf first
};

struct Signer {
  crypto::PublicKey key;
  std::optional<x509::Certificate> certificate;  // of x5c, when its chain ended at a root
};

// A certificate that came along is used only if its key is trusted itself or its chain ends at a
// root; `refusal_code` is for the signature.
Appraised<Signer> verify_signer(const TrustAnchors& anchors, const SignerHint& hint,
                                ByteView to_be_signed, ByteView signature,
                                std::string_view refusal_code);

}  // namespace keyward::rats
