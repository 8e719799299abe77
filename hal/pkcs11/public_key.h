// Owns the public half of a token key: its SPKI, and verification with OpenSSL. Must not know
// PKCS#11. Threads: verify() from any (OpenSSL's EVP_PKEY is shared read-only).
#pragma once

#include <memory>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/signing_token.h"

struct evp_pkey_st;

namespace keyward::hal::pkcs11 {

// SubjectPublicKeyInfo from raw parts. kBadInput: a part has the wrong size or form.
Result<Bytes> spki_of_point(KeyAlgorithm algorithm,
                            ByteView point);  // 04||X||Y, or Ed25519's 32 octets
Result<Bytes> spki_of_rsa(ByteView modulus,
                          ByteView exponent);  // big-endian, leading zeros allowed

class PublicKey {
 public:
  // kCorrupt: not a key of that algorithm and size (an off-curve point among them).
  static Result<PublicKey> from_spki(KeyAlgorithm algorithm, ByteView spki_der);
  KeyAlgorithm algorithm() const { return algorithm_; }
  ByteView spki_der() const { return spki_der_; }
  // `input` is what prepare() made of the message; `signature` as the SigningToken contract has it.
  bool verify(ByteView input, ByteView signature) const;

  // What is verified and, for ECDSA, signed: the digest (ECDSA, RSA) or the message (Ed25519).
  static Bytes prepare(KeyAlgorithm algorithm, ByteView message);

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  KeyAlgorithm algorithm_ = KeyAlgorithm::kEcdsaP256;
  Bytes spki_der_;
  std::unique_ptr<evp_pkey_st, Free> key_;
};

}  // namespace keyward::hal::pkcs11
