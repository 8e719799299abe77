// Owns the cryptographic primitives that firmware uses, over OpenSSL 3. Must not know JOSE, X.509
// or TPM formats beyond SubjectPublicKeyInfo. No OpenSSL type appears here.
//
// Errors: kBadInput (key or signature octets malformed), kRefused (signature does not verify, key
// too weak), kInternal. Threads: pure functions; a PublicKey may be shared by threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::crypto {

enum class HashAlgorithm : std::uint8_t { kSha1 = 1, kSha256 = 2, kSha384 = 3, kSha512 = 4 };
std::size_t digest_bytes(HashAlgorithm algorithm);
Bytes hash(HashAlgorithm algorithm, ByteView data);
Digest256 sha256(ByteView data);
Digest256 sha256(ByteView first, ByteView second);  // of the concatenation
Digest256 hmac_sha256(ByteView key, ByteView data);
Bytes hmac(HashAlgorithm algorithm, ByteView key, ByteView data);  // RFC 2104

enum class KeyKind : std::uint8_t { kEcP256 = 1, kEcP384 = 2, kEcP521 = 3, kRsa = 4, kEd25519 = 5 };

// How a signature is made and written.
enum class SignatureScheme : std::uint8_t {
  kEcdsa = 1,     // DER ECDSA-Sig-Value
  kEcdsaRaw = 2,  // r || s of the curve's size (RFC 7518 §3.4)
  kRsaPkcs1 = 3,
  kRsaPss = 4,   // MGF1 with the same hash, salt as long as the hash
  kEd25519 = 5,  // hash is ignored
};

// A public key that was checked when it was made: point on curve, modulus 2048..4096 bits and odd,
// exponent odd and 3..2^32. Cheap to copy (shared).
class PublicKey {
 public:
  // Uncompressed or not, the coordinates must have the curve's size.
  static Result<PublicKey> from_ec(KeyKind kind, ByteView x, ByteView y);
  static Result<PublicKey> from_rsa(ByteView modulus, ByteView exponent);
  static Result<PublicKey> from_ed25519(ByteView raw);
  static Result<PublicKey> from_spki(
      ByteView spki_der);  // strict DER; other algorithms are kRefused

  KeyKind kind() const;
  int bits() const;  // RSA: modulus; EC: curve
  const Bytes& spki_der()
      const;  // canonical SubjectPublicKeyInfo (named curve, uncompressed point, NULL for RSA)
  const Digest256& spki_sha256() const;
  struct RsaNumbers {
    Bytes modulus;  // big-endian, no leading zeros
    Bytes exponent;
  };
  std::optional<RsaNumbers> rsa_numbers() const;  // absent unless kRsa
  // kRefused unless the signature is this key's over `message`.
  Status verify(SignatureScheme scheme, HashAlgorithm hash_algorithm, ByteView message,
                ByteView signature) const;

  struct Impl;
  explicit PublicKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

// A private key in software: TLS keys, the agent's account key, make-believe manufacturers, tests.
// Never a CA key.
class PrivateKey {
 public:
  static Result<PrivateKey> generate(KeyKind kind, int rsa_bits = 2048);
  static Result<PrivateKey> from_pem(std::string_view pem);  // PKCS#8, unencrypted
  Result<SecretBytes> to_pem() const;
  const PublicKey& public_key() const;
  Result<Bytes> sign(SignatureScheme scheme, HashAlgorithm hash_algorithm, ByteView message) const;

  struct Impl;
  explicit PrivateKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

Result<Bytes> ecdsa_raw_to_der(ByteView raw);  // r||s, even length
Result<Bytes> ecdsa_der_to_raw(ByteView der, std::size_t coordinate_bytes);

}  // namespace keyward::crypto
