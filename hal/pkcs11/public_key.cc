// Owns the public half of a token key: its SPKI, and verification with OpenSSL. Must not know
// PKCS#11.
#include "hal/pkcs11/public_key.h"

#include <string_view>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "hal/base/limits.h"

namespace keyward::hal::pkcs11 {
namespace {

// RFC 5480 §2.1.1, RFC 8410 §4: everything before the octets of the point.
constexpr std::uint8_t kP256Prefix[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                        0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
constexpr std::uint8_t kP384Prefix[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                                        0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
                                        0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00};
constexpr std::uint8_t kEd25519Prefix[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                           0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
// rsaEncryption with NULL parameters, RFC 3279 §2.3.1.
constexpr std::uint8_t kRsaAlgorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                          0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};

struct ContextFree {
  void operator()(EVP_PKEY_CTX* context) const { ::EVP_PKEY_CTX_free(context); }
  void operator()(EVP_MD_CTX* context) const { ::EVP_MD_CTX_free(context); }
};

Bytes der_element(std::uint8_t tag, ByteView content) {
  Bytes out{tag};
  const auto size = content.size();
  if (size < 0x80) {
    out.push_back(static_cast<std::uint8_t>(size));
  } else if (size < 0x100) {
    out.insert(out.end(), {0x81, static_cast<std::uint8_t>(size)});
  } else {
    out.insert(out.end(),
               {0x82, static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
  }
  append(out, content);
  return out;
}

Result<Bytes> der_unsigned(ByteView big_endian) {
  while (!big_endian.empty() && big_endian.front() == 0) big_endian = big_endian.subspan(1);
  if (big_endian.empty()) return fail(ErrorKind::kBadInput, "an RSA part is zero");
  if (big_endian.size() > limits::kTokenAttributeBytesMax)
    return fail(ErrorKind::kBadInput, "an RSA part is too long");
  Bytes content;
  if (big_endian.front() >= 0x80) content.push_back(0);
  append(content, big_endian);
  return der_element(0x02, content);
}

int rsa_bits(KeyAlgorithm algorithm) {
  switch (algorithm) {
    case KeyAlgorithm::kRsa2048:
      return 2048;
    case KeyAlgorithm::kRsa3072:
      return 3072;
    case KeyAlgorithm::kRsa4096:
      return 4096;
    default:
      return 0;
  }
}

bool is_algorithm(EVP_PKEY* key, KeyAlgorithm algorithm) {
  if (algorithm == KeyAlgorithm::kEd25519) return ::EVP_PKEY_get_id(key) == EVP_PKEY_ED25519;
  if (const int bits = rsa_bits(algorithm); bits != 0)
    return ::EVP_PKEY_get_id(key) == EVP_PKEY_RSA && ::EVP_PKEY_get_bits(key) == bits;
  char group[32] = {};
  std::size_t size = 0;
  if (::EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                       &size) != 1)
    return false;
  const std::string_view name(group, size);
  return algorithm == KeyAlgorithm::kEcdsaP256 ? name == "prime256v1" : name == "secp384r1";
}

bool verify_ed25519(EVP_PKEY* key, ByteView message, ByteView signature) {
  const std::unique_ptr<EVP_MD_CTX, ContextFree> context(::EVP_MD_CTX_new());
  return context != nullptr &&
         ::EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
         ::EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                            message.size()) == 1;
}

bool verify_digest(EVP_PKEY* key, KeyAlgorithm algorithm, ByteView digest, ByteView signature) {
  const std::unique_ptr<EVP_PKEY_CTX, ContextFree> context(::EVP_PKEY_CTX_new(key, nullptr));
  if (context == nullptr || ::EVP_PKEY_verify_init(context.get()) != 1) return false;
  const EVP_MD* hash = algorithm == KeyAlgorithm::kEcdsaP384 ? ::EVP_sha384() : ::EVP_sha256();
  if (::EVP_PKEY_CTX_set_signature_md(context.get(), hash) != 1) return false;
  if (rsa_bits(algorithm) != 0 &&
      ::EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1)
    return false;
  return ::EVP_PKEY_verify(context.get(), signature.data(), signature.size(), digest.data(),
                           digest.size()) == 1;
}

}  // namespace

Result<Bytes> spki_of_point(KeyAlgorithm algorithm, ByteView point) {
  ByteView prefix;
  std::size_t size = 0;
  switch (algorithm) {
    case KeyAlgorithm::kEcdsaP256:
      prefix = kP256Prefix, size = 65;
      break;
    case KeyAlgorithm::kEcdsaP384:
      prefix = kP384Prefix, size = 97;
      break;
    case KeyAlgorithm::kEd25519:
      prefix = kEd25519Prefix, size = 32;
      break;
    default:
      return fail(ErrorKind::kInternal, "not a curve algorithm");
  }
  if (point.size() != size) return fail(ErrorKind::kBadInput, "the point has the wrong size");
  if (algorithm != KeyAlgorithm::kEd25519 && point.front() != 0x04)
    return fail(ErrorKind::kBadInput, "the point is not uncompressed");
  Bytes out = to_bytes(prefix);
  append(out, point);
  return out;
}

Result<Bytes> spki_of_rsa(ByteView modulus, ByteView exponent) {
  KEYWARD_TRY(n, der_unsigned(modulus));
  KEYWARD_TRY(e, der_unsigned(exponent));
  Bytes numbers = n;
  append(numbers, e);
  Bytes bits{0x00};
  append(bits, der_element(0x30, numbers));
  Bytes content(std::begin(kRsaAlgorithm), std::end(kRsaAlgorithm));
  append(content, der_element(0x03, bits));
  return der_element(0x30, content);
}

void PublicKey::Free::operator()(evp_pkey_st* key) const { ::EVP_PKEY_free(key); }

Result<PublicKey> PublicKey::from_spki(KeyAlgorithm algorithm, ByteView spki_der) {
  const unsigned char* at = spki_der.data();
  PublicKey out;
  out.key_.reset(::d2i_PUBKEY(nullptr, &at, static_cast<long>(spki_der.size())));
  ::ERR_clear_error();
  if (out.key_ == nullptr || at != spki_der.data() + spki_der.size())
    return fail(ErrorKind::kCorrupt, "the token's public key does not decode");
  if (!is_algorithm(out.key_.get(), algorithm))
    return fail(ErrorKind::kCorrupt, "the token's public key is of another algorithm or size");
  out.algorithm_ = algorithm;
  out.spki_der_ = to_bytes(spki_der);
  return out;
}

bool PublicKey::verify(ByteView input, ByteView signature) const {
  if (key_ == nullptr || signature.empty()) return false;
  const bool good = algorithm_ == KeyAlgorithm::kEd25519
                        ? verify_ed25519(key_.get(), input, signature)
                        : verify_digest(key_.get(), algorithm_, input, signature);
  if (!good) ::ERR_clear_error();
  return good;
}

Bytes PublicKey::prepare(KeyAlgorithm algorithm, ByteView message) {
  if (algorithm == KeyAlgorithm::kEd25519) return to_bytes(message);
  if (algorithm == KeyAlgorithm::kEcdsaP384) {
    Bytes digest(SHA384_DIGEST_LENGTH);
    ::SHA384(message.data(), message.size(), digest.data());
    return digest;
  }
  Bytes digest(SHA256_DIGEST_LENGTH);
  ::SHA256(message.data(), message.size(), digest.data());
  return digest;
}

}  // namespace keyward::hal::pkcs11
