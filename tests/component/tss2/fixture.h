// Owns what the TPM tests share: one plain TPM for a test, and checks with OpenSSL instead of our
// code.
#pragma once

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

#include "hal/base/bytes.h"
#include "hal/tss2/tss2_tpm.h"
#include "tests/support/swtpm/swtpm.h"

namespace keyward::hal::tss2_test {

#define ASSERT_OK(result) \
  ASSERT_TRUE(result) << (result).error().what << " rc=" << std::hex << (result).error().native
#define EXPECT_KIND(expected_kind, result)                                                 \
  do {                                                                                     \
    const auto& kind_result_ = (result);                                                   \
    ASSERT_FALSE(kind_result_) << "succeeded";                                             \
    EXPECT_EQ(to_string(expected_kind), to_string(kind_result_.error().kind))              \
        << kind_result_.error().what << " rc=" << std::hex << kind_result_.error().native; \
  } while (false)

class TpmTest : public ::testing::Test {
 protected:
  void SetUp() override { tpm_ = open(device_); }
  static std::unique_ptr<Tpm> open(const test::Swtpm& device) {
    auto tpm = open_tpm(device.tcti());
    if (!tpm) ADD_FAILURE() << tpm.error().what << " rc=" << std::hex << tpm.error().native;
    return tpm ? std::move(*tpm) : nullptr;
  }
  TpmObjectPtr key_of(Tpm& tpm, const TpmKeyTemplate& wanted) {
    auto blob = tpm.create_key(wanted);
    if (!blob) {
      ADD_FAILURE() << blob.error().what << " rc=" << std::hex << blob.error().native;
      return nullptr;
    }
    auto loaded = tpm.load(*blob);
    if (!loaded)
      ADD_FAILURE() << loaded.error().what << " rc=" << std::hex << loaded.error().native;
    return loaded ? std::move(*loaded) : nullptr;
  }
  TpmObjectPtr ak_of(Tpm& tpm, TpmKeyType type = TpmKeyType::kEccP256) {
    TpmKeyTemplate wanted;
    wanted.type = type;
    wanted.restricted = true;
    return key_of(tpm, wanted);
  }

  test::Swtpm device_;
  std::unique_ptr<Tpm> tpm_;
};

// The OpenSSL key of a TPMT_PUBLIC, read octet by octet (Structures §12.2.4), not by the code under
// test.
using PkeyPtr = std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)>;
PkeyPtr openssl_key(ByteView tpmt_public);
// `signature`: DER ECDSA or PKCS#1 v1.5 octets over a digest made with `md`.
bool openssl_verifies(ByteView tpmt_public, const char* md, ByteView digest, ByteView signature);
// TPMT_SIGNATURE to what OpenSSL verifies.
Bytes openssl_signature(ByteView tpmt_signature);
Bytes sha256(ByteView data);
std::uint32_t u32_at(ByteView bytes, std::size_t at);
std::uint32_t u16_at(ByteView bytes, std::size_t at);

}  // namespace keyward::hal::tss2_test
