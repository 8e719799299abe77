// Owns what the tests of the signing token share: waiting, and verifying without code under test.
#pragma once

#include <functional>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <unistd.h>

#include "hal/base/bytes.h"
#include "hal/base/clock.h"
#include "hal/signing_token.h"

namespace keyward::test {

// Polls a condition that another thread or process makes true; false after the deadline.
inline bool eventually(const std::function<bool()>& condition, std::int64_t within_ms = 15'000) {
  const auto deadline = Deadline::after_ms(within_ms);
  while (!condition()) {
    if (deadline.passed()) return false;
    ::usleep(5'000);
  }
  return true;
}

inline bool becomes(hal::SigningToken& token, hal::TokenState state) {
  return eventually([&] { return token.status().state == state; });
}

inline Deadline in_ms(std::int64_t ms) { return Deadline::after_ms(ms); }

// OpenSSL straight on the message: an implementation other than hal/pkcs11's prepare-and-verify.
inline bool verifies(const hal::TokenKey& key, ByteView message, ByteView signature) {
  const unsigned char* at = key.spki_der.data();
  EVP_PKEY* pkey = ::d2i_PUBKEY(nullptr, &at, static_cast<long>(key.spki_der.size()));
  if (pkey == nullptr) return false;
  const EVP_MD* hash = key.algorithm == hal::KeyAlgorithm::kEd25519     ? nullptr
                       : key.algorithm == hal::KeyAlgorithm::kEcdsaP384 ? ::EVP_sha384()
                                                                        : ::EVP_sha256();
  EVP_MD_CTX* context = ::EVP_MD_CTX_new();
  const bool good = ::EVP_DigestVerifyInit(context, nullptr, hash, nullptr, pkey) == 1 &&
                    ::EVP_DigestVerify(context, signature.data(), signature.size(), message.data(),
                                       message.size()) == 1;
  ::EVP_MD_CTX_free(context);
  ::EVP_PKEY_free(pkey);
  return good;
}

}  // namespace keyward::test
