// Owns hashing and HMAC. Must not know keys of signatures.

#include <algorithm>
#include <cstdlib>

#include <openssl/crypto.h>
#include <string.h>

#include "firmware/crypto/openssl.h"

namespace keyward::crypto {
namespace {

// A process that cannot hash can do nothing right, and no caller could handle it.
void require(bool ok) {
  if (!ok) std::abort();
}

const EVP_MD* fetch(const char* name) {
  const EVP_MD* digest = ::EVP_MD_fetch(nullptr, name, nullptr);
  require(digest != nullptr);
  return digest;
}

}  // namespace

const EVP_MD* message_digest(HashAlgorithm algorithm) {
  static const EVP_MD* const sha256 = fetch("SHA256");
  static const EVP_MD* const sha384 = fetch("SHA384");
  static const EVP_MD* const sha512 = fetch("SHA512");
  static const EVP_MD* const sha1 = fetch("SHA1");
  switch (algorithm) {
    case HashAlgorithm::kSha1:
      return sha1;
    case HashAlgorithm::kSha256:
      return sha256;
    case HashAlgorithm::kSha384:
      return sha384;
    case HashAlgorithm::kSha512:
      return sha512;
  }
  std::abort();
}

std::size_t digest_bytes(HashAlgorithm algorithm) {
  switch (algorithm) {
    case HashAlgorithm::kSha1:
      return 20;
    case HashAlgorithm::kSha256:
      return 32;
    case HashAlgorithm::kSha384:
      return 48;
    case HashAlgorithm::kSha512:
      return 64;
  }
  std::abort();
}

Bytes hash(HashAlgorithm algorithm, ByteView data) {
  Bytes out(digest_bytes(algorithm));
  unsigned size = 0;
  require(::EVP_Digest(data.data(), data.size(), out.data(), &size, message_digest(algorithm),
                       nullptr) == 1);
  require(size == out.size());
  return out;
}

Digest256 sha256(ByteView data) {
  Digest256 out;
  require(::EVP_Digest(data.data(), data.size(), out.data(), nullptr,
                       message_digest(HashAlgorithm::kSha256), nullptr) == 1);
  return out;
}

Digest256 sha256(ByteView first, ByteView second) {
  Digest256 out;
  const DigestContextPtr context(::EVP_MD_CTX_new());
  require(context != nullptr);
  require(::EVP_DigestInit_ex2(context.get(), message_digest(HashAlgorithm::kSha256), nullptr) ==
          1);
  require(::EVP_DigestUpdate(context.get(), first.data(), first.size()) == 1);
  require(::EVP_DigestUpdate(context.get(), second.data(), second.size()) == 1);
  require(::EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1);
  return out;
}

Bytes hmac(HashAlgorithm algorithm, ByteView key, ByteView data) {
  const bool is_long = algorithm == HashAlgorithm::kSha384 || algorithm == HashAlgorithm::kSha512;
  const std::size_t block_bytes = is_long ? 128 : 64;  // FIPS 180-4 §1
  Bytes inner = key.size() > block_bytes ? hash(algorithm, key) : to_bytes(key);
  inner.resize(block_bytes);
  Bytes outer = inner;
  for (auto& byte : inner) byte ^= 0x36;
  for (auto& byte : outer) byte ^= 0x5c;
  append(inner, data);
  append(outer, hash(algorithm, inner));
  const Bytes result = hash(algorithm, outer);
  ::explicit_bzero(inner.data(), inner.size());
  ::explicit_bzero(outer.data(), outer.size());
  return result;
}

// RFC 2104, straight from the hash: one-shot, and without the fetches of OpenSSL's HMAC object.
Digest256 hmac_sha256(ByteView key, ByteView data) {
  constexpr std::size_t kBlockBytes = 64;
  std::array<std::uint8_t, kBlockBytes> inner{};
  if (key.size() > kBlockBytes) {
    const auto digest = sha256(key);
    std::copy(digest.begin(), digest.end(), inner.begin());
  } else {
    std::copy(key.begin(), key.end(), inner.begin());
  }
  auto outer = inner;
  for (auto& byte : inner) byte ^= 0x36;
  for (auto& byte : outer) byte ^= 0x5c;
  const auto result = sha256(outer, sha256(inner, data));
  ::OPENSSL_cleanse(inner.data(), inner.size());
  ::OPENSSL_cleanse(outer.data(), outer.size());
  return result;
}

}  // namespace keyward::crypto
