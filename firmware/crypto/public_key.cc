// Owns public keys: checks on making, verification. Keys come from raw numbers through
// EVP_PKEY_fromdata, which costs a seventh of decoding a SubjectPublicKeyInfo.
#include <algorithm>
#include <bit>

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "firmware/crypto/openssl.h"
#include "hal/base/limits.h"

namespace keyward::crypto {
namespace {

constexpr std::size_t kRsaExponentBytesMax =
    5;  // 2^32 itself is even, so 4 octets and one for the comparison
constexpr std::size_t kEd25519Bytes = 32;

const char* group_name(KeyKind kind) {
  switch (kind) {
    case KeyKind::kEcP256:
      return "P-256";
    case KeyKind::kEcP384:
      return "P-384";
    default:
      return "P-521";
  }
}

Result<PkeyPtr> pkey_from_params(const char* type, OSSL_PARAM* params) {
  const PkeyContextPtr context(::EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  if (!context || ::EVP_PKEY_fromdata_init(context.get()) != 1) {
    return openssl_fail(ErrorKind::kInternal, "OpenSSL cannot make a key");
  }
  EVP_PKEY* raw = nullptr;
  const int made = ::EVP_PKEY_fromdata(context.get(), &raw, EVP_PKEY_PUBLIC_KEY, params);
  PkeyPtr pkey(raw);
  if (made != 1 || !pkey) return openssl_fail(ErrorKind::kBadInput, "the public key is not valid");
  return pkey;
}

PublicKey make_key(KeyKind kind, int bits, PkeyPtr pkey, Bytes spki) {
  auto impl = std::make_shared<PublicKey::Impl>();
  impl->kind = kind;
  impl->bits = bits;
  impl->pkey = std::move(pkey);
  impl->spki_sha256 = sha256(spki);
  impl->spki_der = std::move(spki);
  return PublicKey(std::move(impl));
}

ByteView without_leading_zeros(ByteView value) {
  while (!value.empty() && value.front() == 0) value = value.subspan(1);
  return value;
}

int bit_length(ByteView minimal) {
  int bits = static_cast<int>(minimal.size()) * 8;
  for (unsigned top = minimal.front(); (top & 0x80) == 0; top <<= 1) --bits;
  return bits;
}

// RFC 8032 §5.1.3 step 1, and the points of order 1, 2, 4 and 8: under those some signatures verify
// for any message, and a key that proves nothing must not be an account's.
bool is_weak_ed25519(ByteView raw) {
  static constexpr std::array<std::array<std::uint8_t, kEd25519Bytes>, 2> kOrderEight{{
      {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
       0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
       0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
      {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
       0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
       0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
  }};
  std::array<std::uint8_t, kEd25519Bytes> y{};
  std::ranges::copy(raw, y.begin());
  y[31] &= 0x7f;  // the sign of x
  for (const auto& point : kOrderEight) {
    if (y == point) return true;
  }
  const bool middle_ones =
      std::all_of(y.begin() + 1, y.end() - 1, [](auto b) { return b == 0xff; });
  if (y[31] == 0x7f && middle_ones && y[0] >= 0xec) return true;  // p-1 (order 2), and every y >= p
  const bool rest_zero = std::all_of(y.begin() + 1, y.end(), [](auto b) { return b == 0; });
  return rest_zero && y[0] <= 1;  // order 4 and the neutral element
}

}  // namespace

std::size_t coordinate_bytes(KeyKind kind) {
  switch (kind) {
    case KeyKind::kEcP256:
      return 32;
    case KeyKind::kEcP384:
      return 48;
    case KeyKind::kEcP521:
      return 66;
    default:
      return 0;
  }
}

bool scheme_fits(SignatureScheme scheme, KeyKind kind) {
  switch (scheme) {
    case SignatureScheme::kEcdsa:
    case SignatureScheme::kEcdsaRaw:
      return coordinate_bytes(kind) != 0;
    case SignatureScheme::kRsaPkcs1:
    case SignatureScheme::kRsaPss:
      return kind == KeyKind::kRsa;
    case SignatureScheme::kEd25519:
      return kind == KeyKind::kEd25519;
  }
  return false;
}

const EVP_MD* scheme_digest(SignatureScheme scheme, HashAlgorithm hash_algorithm) {
  return scheme == SignatureScheme::kEd25519 ? nullptr : message_digest(hash_algorithm);
}

bool set_padding(SignatureScheme scheme, EVP_PKEY_CTX* context) {
  if (scheme == SignatureScheme::kRsaPkcs1)
    return ::EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
  if (scheme != SignatureScheme::kRsaPss) return true;
  return ::EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         ::EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

Result<PublicKey> PublicKey::from_ec(KeyKind kind, ByteView x, ByteView y) {
  const auto size = coordinate_bytes(kind);
  if (size == 0) return fail(ErrorKind::kRefused, "EC key: not an EC kind");
  if (x.size() != size || y.size() != size) {
    return fail(ErrorKind::kBadInput, "EC key: a coordinate has not the curve's size");
  }
  Bytes point{0x04};
  append(point, x);
  append(point, y);
  // OpenSSL checks the point against the curve here; cofactor 1 makes that the whole check.
  OSSL_PARAM params[] = {
      ::OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                         const_cast<char*>(group_name(kind)), 0),
      ::OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
      ::OSSL_PARAM_construct_end(),
  };
  auto pkey = pkey_from_params("EC", params);
  if (!pkey)
    return fail(pkey.error().kind, "EC key: the point is not on its curve", pkey.error().native);
  const int bits = kind == KeyKind::kEcP521 ? 521 : static_cast<int>(size) * 8;
  return make_key(kind, bits, std::move(*pkey), spki_from_ec(kind, x, y));
}

Result<PublicKey> PublicKey::from_rsa(ByteView modulus, ByteView exponent) {
  const auto n = without_leading_zeros(modulus);
  const auto e = without_leading_zeros(exponent);
  if (n.empty() || e.empty())
    return fail(ErrorKind::kBadInput, "RSA key: zero modulus or exponent");
  const int bits = bit_length(n);
  if (bits < limits::kRsaBitsMin)
    return fail(ErrorKind::kRefused, "RSA key: modulus too short", bits);
  if (bits > limits::kRsaBitsMax)
    return fail(ErrorKind::kRefused, "RSA key: modulus too long", bits);
  if ((n.back() & 1) == 0) return fail(ErrorKind::kRefused, "RSA key: even modulus");
  const bool too_large = e.size() >= kRsaExponentBytesMax;
  const bool too_small = e.size() == 1 && e.front() < 3;
  if (too_large || too_small || (e.back() & 1) == 0)
    return fail(ErrorKind::kRefused, "RSA key: exponent not accepted");
  // OSSL_PARAM integers are in native order.
  Bytes n_native(n.rbegin(), n.rend());
  Bytes e_native(e.rbegin(), e.rend());
  static_assert(std::endian::native == std::endian::little);
  OSSL_PARAM params[] = {
      ::OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n_native.data(), n_native.size()),
      ::OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e_native.data(), e_native.size()),
      ::OSSL_PARAM_construct_end(),
  };
  KEYWARD_TRY(pkey, pkey_from_params("RSA", params));
  return make_key(KeyKind::kRsa, bits, std::move(pkey), spki_from_rsa(n, e));
}

Result<PublicKey> PublicKey::from_ed25519(ByteView raw) {
  if (raw.size() != kEd25519Bytes) return fail(ErrorKind::kBadInput, "Ed25519 key: not 32 octets");
  if (is_weak_ed25519(raw))
    return fail(ErrorKind::kRefused, "Ed25519 key: not canonical, or of small order");
  PkeyPtr pkey(
      ::EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, raw.data(), raw.size()));
  if (!pkey) return openssl_fail(ErrorKind::kBadInput, "Ed25519 key: refused by OpenSSL");
  return make_key(KeyKind::kEd25519, 256, std::move(pkey), spki_from_ed25519(raw));
}

KeyKind PublicKey::kind() const { return impl_->kind; }
int PublicKey::bits() const { return impl_->bits; }
const Bytes& PublicKey::spki_der() const { return impl_->spki_der; }
const Digest256& PublicKey::spki_sha256() const { return impl_->spki_sha256; }

Status PublicKey::verify(SignatureScheme scheme, HashAlgorithm hash_algorithm, ByteView message,
                         ByteView signature) const {
  if (!scheme_fits(scheme, impl_->kind))
    return fail(ErrorKind::kRefused, "signature scheme does not fit the key");
  Bytes der;
  ByteView to_check = signature;
  if (scheme == SignatureScheme::kEcdsaRaw) {
    if (signature.size() != 2 * coordinate_bytes(impl_->kind)) {
      return fail(ErrorKind::kBadInput, "ecdsa signature has not the curve's size");
    }
    KEYWARD_TRY(converted, ecdsa_raw_to_der(signature));
    der = std::move(converted);
    to_check = der;
  }
  const DigestContextPtr context(::EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  if (!context ||
      ::EVP_DigestVerifyInit(context.get(), &parameters, scheme_digest(scheme, hash_algorithm),
                             nullptr, impl_->pkey.get()) != 1 ||
      !set_padding(scheme, parameters)) {
    return openssl_fail(ErrorKind::kInternal, "OpenSSL cannot set up a verification");
  }
  // Zero and negative both mean "no": OpenSSL says negative for a signature that it cannot read.
  if (::EVP_DigestVerify(context.get(), to_check.data(), to_check.size(), message.data(),
                         message.size()) != 1) {
    return openssl_fail(ErrorKind::kRefused, "the signature does not verify");
  }
  return {};
}

}  // namespace keyward::crypto
