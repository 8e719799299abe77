// TPM structures to OpenSSL, without the code under test: see fixture.h.
#include "fixture.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

namespace keyward::hal::tss2_test {
namespace {

// type(2) nameAlg(2) attributes(4) authPolicy(2+n) symmetric(2, +4 if there is one) scheme(2, +2 if
// not null)
std::size_t after_scheme(ByteView area) {
  std::size_t at = 8;
  at += 2 + u16_at(area, at);
  at += u16_at(area, at) == TPM2_ALG_NULL ? 2 : 6;
  return at + (u16_at(area, at) == TPM2_ALG_NULL ? 2 : 4);
}

PkeyPtr from_params(const char* type, OSSL_PARAM_BLD* builder) {
  OSSL_PARAM* params = ::OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY_CTX* context = ::EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr);
  EVP_PKEY* key = nullptr;
  if (::EVP_PKEY_fromdata_init(context) == 1)
    ::EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params);
  ::EVP_PKEY_CTX_free(context);
  ::OSSL_PARAM_free(params);
  return PkeyPtr(key, &::EVP_PKEY_free);
}

PkeyPtr ec_key(ByteView area) {
  std::size_t at = after_scheme(area);
  const auto curve = u16_at(area, at);
  at += 4;  // curve, kdf null
  const auto x_bytes = u16_at(area, at);
  const auto x = area.subspan(at + 2, x_bytes);
  at += 2 + x_bytes;
  const auto y = area.subspan(at + 2, u16_at(area, at));
  const std::size_t field_bytes = curve == TPM2_ECC_NIST_P384 ? 48 : 32;
  Bytes point(1 + 2 * field_bytes);
  point[0] = 4;
  std::copy(x.begin(), x.end(),
            point.begin() + static_cast<std::ptrdiff_t>(1 + field_bytes - x.size()));
  std::copy(y.begin(), y.end(),
            point.begin() + static_cast<std::ptrdiff_t>(1 + 2 * field_bytes - y.size()));
  OSSL_PARAM_BLD* builder = ::OSSL_PARAM_BLD_new();
  ::OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
                                    field_bytes == 48 ? "P-384" : "P-256", 0);
  ::OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  auto key = from_params("EC", builder);
  ::OSSL_PARAM_BLD_free(builder);
  return key;
}

PkeyPtr rsa_key(ByteView area) {
  const std::size_t at = after_scheme(area) + 6;  // keyBits, exponent 0
  const auto modulus = area.subspan(at + 2, u16_at(area, at));
  BIGNUM* n = ::BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr);
  BIGNUM* e = ::BN_new();
  ::BN_set_word(e, 65537);
  OSSL_PARAM_BLD* builder = ::OSSL_PARAM_BLD_new();
  ::OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
  ::OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
  auto key = from_params("RSA", builder);
  ::OSSL_PARAM_BLD_free(builder);
  ::BN_free(n);
  ::BN_free(e);
  return key;
}

}  // namespace

std::uint32_t u16_at(ByteView bytes, std::size_t at) {
  if (at + 2 > bytes.size()) return 0;
  return static_cast<std::uint32_t>(bytes[at] << 8 | bytes[at + 1]);
}
std::uint32_t u32_at(ByteView bytes, std::size_t at) {
  return u16_at(bytes, at) << 16 | u16_at(bytes, at + 2);
}

Bytes sha256(ByteView data) {
  Bytes out(32);
  ::SHA256(data.data(), data.size(), out.data());
  return out;
}

PkeyPtr openssl_key(ByteView tpmt_public) {
  return u16_at(tpmt_public, 0) == TPM2_ALG_RSA ? rsa_key(tpmt_public) : ec_key(tpmt_public);
}

bool openssl_verifies(ByteView tpmt_public, const char* md, ByteView digest, ByteView signature) {
  const auto key = openssl_key(tpmt_public);
  if (!key) return false;
  EVP_PKEY_CTX* context = ::EVP_PKEY_CTX_new(key.get(), nullptr);
  bool ok = ::EVP_PKEY_verify_init(context) == 1;
  if (::EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA) {
    ok = ok && ::EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
  }
  ok = ok && ::EVP_PKEY_CTX_set_signature_md(context, ::EVP_get_digestbyname(md)) == 1;
  ok = ok && ::EVP_PKEY_verify(context, signature.data(), signature.size(), digest.data(),
                               digest.size()) == 1;
  ::EVP_PKEY_CTX_free(context);
  return ok;
}

Bytes openssl_signature(ByteView tpmt_signature) {
  if (u16_at(tpmt_signature, 0) == TPM2_ALG_RSASSA) {
    return to_bytes(tpmt_signature.subspan(6, u16_at(tpmt_signature, 4)));
  }
  const auto r_bytes = u16_at(tpmt_signature, 4);
  const auto r = tpmt_signature.subspan(6, r_bytes);
  const auto s = tpmt_signature.subspan(8 + r_bytes, u16_at(tpmt_signature, 6 + r_bytes));
  ECDSA_SIG* signature = ::ECDSA_SIG_new();
  ::ECDSA_SIG_set0(signature, ::BN_bin2bn(r.data(), static_cast<int>(r.size()), nullptr),
                   ::BN_bin2bn(s.data(), static_cast<int>(s.size()), nullptr));
  unsigned char* raw = nullptr;
  const int size = ::i2d_ECDSA_SIG(signature, &raw);
  Bytes out(raw, raw + size);
  ::OPENSSL_free(raw);
  ::ECDSA_SIG_free(signature);
  return out;
}

}  // namespace keyward::hal::tss2_test
