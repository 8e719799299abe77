// Owns the owner types and the error rule for OpenSSL inside firmware/crypto. Never included
// elsewhere.
#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "firmware/crypto/crypto.h"

namespace keyward::crypto {

struct FreeOpenSsl {
  void operator()(EVP_PKEY* p) const { ::EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { ::EVP_PKEY_CTX_free(p); }
  void operator()(EVP_MD_CTX* p) const { ::EVP_MD_CTX_free(p); }
  void operator()(BIO* p) const { ::BIO_free(p); }
};
using PkeyPtr = std::unique_ptr<EVP_PKEY, FreeOpenSsl>;
using PkeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, FreeOpenSsl>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, FreeOpenSsl>;
using BioPtr = std::unique_ptr<BIO, FreeOpenSsl>;

// Empties the thread's error queue, so that a failure here is never blamed on a later TLS call, and
// keeps the first code for the log.
inline tl::unexpected<Error> openssl_fail(ErrorKind kind, const char* what) {
  const auto native = static_cast<std::int64_t>(::ERR_get_error());
  ::ERR_clear_error();
  return fail(kind, what, native);
}

// Fetched once and kept: a fetch by name costs more than hashing a small message.
const EVP_MD* message_digest(HashAlgorithm algorithm);

// EVP_DigestSign/Verify set up for a scheme: the padding for RSA, no digest for Ed25519.
const EVP_MD* scheme_digest(SignatureScheme scheme, HashAlgorithm hash_algorithm);
bool set_padding(SignatureScheme scheme, EVP_PKEY_CTX* context);
bool scheme_fits(SignatureScheme scheme, KeyKind kind);
std::size_t coordinate_bytes(KeyKind kind);  // 0 unless an EC kind

// ---- SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), one accepted form per algorithm.
Bytes spki_from_ec(KeyKind kind, ByteView x, ByteView y);
Bytes spki_from_rsa(ByteView modulus, ByteView exponent);  // both without leading zeros
Bytes spki_from_ed25519(ByteView raw);

struct PublicKey::Impl {
  KeyKind kind = KeyKind::kEcP256;
  int bits = 0;
  PkeyPtr pkey;
  Bytes spki_der;
  Digest256 spki_sha256{};
};

struct PrivateKey::Impl {
  PkeyPtr pkey;
  PublicKey public_key;
};

}  // namespace keyward::crypto
