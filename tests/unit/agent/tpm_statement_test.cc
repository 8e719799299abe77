// Tests of the statement builder: the object that the verifier reads is the one that was meant,
// octet by octet.
#include "firmware/agent/tpm_statement.h"

#include <gtest/gtest.h>

#include "firmware/attest/attestation_object.h"
#include "hal/base/limits.h"

namespace keyward::agent {
namespace {

TpmStatementParts parts() {
  TpmStatementParts out;
  out.x5c = {Bytes(300, 1), Bytes(5, 2)};
  out.sig = {3, 3};
  out.cert_info = {4};
  out.pub_area = {5, 5, 5};
  return out;
}

TEST(TpmStatement, Object_IsReadByTheVerifier) {
  for (const std::int64_t alg : {kCoseEs256, kCoseEs384, kCoseRs256, kCoseRs384,
                                 std::int64_t{-65535}, std::int64_t{-24}, std::int64_t{5}}) {
    auto wanted = parts();
    wanted.alg = alg;
    const auto read = attest::parse_attestation_object(build_attestation_object(wanted));
    ASSERT_TRUE(read) << alg << " " << read.error().detail;
    EXPECT_EQ(read->format, "tpm");
    EXPECT_EQ(read->ver, "2.0");
    EXPECT_EQ(read->alg, alg);
    EXPECT_EQ(read->x5c, wanted.x5c);
    EXPECT_EQ(read->sig, wanted.sig);
    EXPECT_EQ(read->cert_info, wanted.cert_info);
    EXPECT_EQ(read->pub_area, wanted.pub_area);
    EXPECT_FALSE(read->auth_data);
  }
}

TEST(TpmStatement, Object_AuthDataWhenAsked) {
  auto wanted = parts();
  wanted.auth_data = Bytes{};
  const auto read = attest::parse_attestation_object(build_attestation_object(wanted));
  ASSERT_TRUE(read);
  ASSERT_TRUE(read->auth_data);
  EXPECT_TRUE(read->auth_data->empty());
}

TEST(TpmStatement, Object_SmallestIsExact) {
  TpmStatementParts wanted;
  wanted.x5c = {Bytes{9}};
  wanted.sig = {1};
  wanted.cert_info = {2};
  wanted.pub_area = {3};
  EXPECT_EQ(hex_encode(build_attestation_object(wanted)),
            "a263666d74637470"
            "6d6761747453746d74a6"
            "63766572"
            "63322e30"
            "63616c67"
            "26"
            "63783563"
            "814109"
            "63736967"
            "4101"
            "6863657274496e666f"
            "4102"
            "6770756241726561"
            "4103");
}

// TPMT_SIGNATURE: ECDSA 0x0018, SHA-256 0x000B, r and s as TPM2B.
TEST(TpmStatement, Signature_Ecdsa_BecomesDer) {
  const auto tpmt = hex_decode(
                        "0018000b"
                        "0002"
                        "8001"
                        "0001"
                        "05")
                        .value();
  const auto out = plain_signature(tpmt);
  ASSERT_TRUE(out) << out.error().what;
  EXPECT_EQ(out->algorithm.cose_alg, kCoseEs256);
  EXPECT_EQ(hex_encode(out->signature),
            "3008"
            "0203008001"
            "020105");
}

TEST(TpmStatement, Signature_Rsassa_IsItsOctets) {
  const auto out = plain_signature(hex_decode("0014000b"
                                              "0003"
                                              "aabbcc")
                                       .value());
  ASSERT_TRUE(out);
  EXPECT_EQ(out->algorithm.cose_alg, kCoseRs256);
  EXPECT_EQ(hex_encode(out->signature), "aabbcc");
}

TEST(TpmStatement, Signature_Malformed_IsRefused) {
  for (const char* text : {"", "0018", "0018000b", "0018000b0002aa", "0018000b0001aa",
                           "0018000b00000000", "0014000b0000", "0014000b0001aaff", "0016000b0001aa",
                           "00140004"
                           "0001aa",
                           "0018000b0001010001"
                           "02ff"})
    EXPECT_FALSE(plain_signature(hex_decode(text).value())) << text;
}

// TPMT_PUBLIC: type, nameAlg, attributes, authPolicy, symmetric, scheme, hash, ...
TEST(TpmStatement, AkAlgorithm_IsItsScheme) {
  const auto ecc256 = algorithm_of_ak(hex_decode("0023000b00050072"
                                                 "0000"
                                                 "0010"
                                                 "0018"
                                                 "000b"
                                                 "0003"
                                                 "0010")
                                          .value());
  ASSERT_TRUE(ecc256);
  EXPECT_EQ(ecc256->cose_alg, kCoseEs256);
  const auto ecc384 = algorithm_of_ak(hex_decode("0023000b00050072"
                                                 "0000"
                                                 "0010"
                                                 "0018"
                                                 "000c"
                                                 "0004"
                                                 "0010")
                                          .value());
  ASSERT_TRUE(ecc384);
  EXPECT_EQ(ecc384->cose_alg, kCoseEs384);
  EXPECT_EQ(ecc384->hash, crypto::HashAlgorithm::kSha384);
  const auto rsa = algorithm_of_ak(hex_decode("0001000b00050072"
                                              "0002ffff"
                                              "0010"
                                              "0014"
                                              "000b"
                                              "0800"
                                              "00000000")
                                       .value());
  ASSERT_TRUE(rsa);
  EXPECT_EQ(rsa->cose_alg, kCoseRs256);
}

TEST(TpmStatement, AkAlgorithm_NotUsable_IsRefused) {
  for (const char* text : {"",
                           "0008000b00050072"
                           "0000"
                           "0010"
                           "0018"
                           "000b",  // keyed hash
                           "0023000b00030072"
                           "0000"
                           "0006"
                           "0080"
                           "0043"
                           "0010",  // a storage key
                           "0023000b00050072"
                           "0000"
                           "0010"
                           "0010",  // no scheme
                           "0023000b00050072"
                           "0000"
                           "0010"
                           "0018"
                           "0004",  // SHA-1
                           "0001000b00050072"
                           "0000"
                           "0010"
                           "0016"
                           "000b",  // RSA-PSS
                           "0023000b00050072"
                           "00ff"})
    EXPECT_FALSE(algorithm_of_ak(hex_decode(text).value())) << text;
}

}  // namespace
}  // namespace keyward::agent
