// Proves the strict reading of attestation objects: what libcbor would let through is refused.
#include "firmware/attest/attestation_object.h"

#include <gtest/gtest.h>

#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

Bytes hex(std::string_view text) { return *hex_decode(text); }
std::string code_of(std::string_view text) {
  const auto result = parse_attestation_object(hex(text));
  return result ? "accepted" : result.error().code;
}

TEST(AttestationObject_Smallest_IsRead, Holds) {
  const auto real = parse_attestation_object(hex("a263666d746374706d6761747453746d74a0"));
  ASSERT_TRUE(real.has_value());
  EXPECT_EQ(real->format, "tpm");
  EXPECT_TRUE(real->x5c.empty());
}

TEST(AttestationObject_EmptyAuthData_IsTolerated, Holds) {
  EXPECT_EQ(code_of("a363666d746374706d6761747453746d74a068617574684461746140"), "accepted");
}

TEST(AttestationObject_HeaderThatClaimsTooMuch_IsRefusedBeforeAllocation, Holds) {
  EXPECT_EQ(code_of("9a04000000"), "cbor.malformed");
  EXPECT_EQ(code_of("bb00000000ffffffff"), "cbor.malformed");
  EXPECT_EQ(code_of("5b7fffffffffffffff00"), "cbor.malformed");
}

TEST(AttestationObject_NotStrict_IsRefused, Holds) {
  EXPECT_EQ(code_of("a263666d746374706d6761747453746d74a000"), "cbor.malformed")
      << "trailing octet";
  EXPECT_EQ(code_of("bf63666d746374706d6761747453746d74a0ff"), "cbor.malformed")
      << "indefinite map";
  EXPECT_EQ(code_of("a27803666d746374706d6761747453746d74a0"), "cbor.malformed")
      << "length not in its shortest form";
  EXPECT_EQ(code_of("c1a263666d746374706d6761747453746d74a0"), "cbor.malformed") << "tag";
  EXPECT_EQ(code_of("a263666d74f97e006761747453746d74a0"), "cbor.malformed") << "float";
  EXPECT_EQ(code_of("a263666d74f76761747453746d74a0"), "cbor.malformed") << "undefined";
  EXPECT_EQ(code_of("a363666d746374706d63666d74646e6f6e656761747453746d74a0"), "cbor.malformed")
      << "fmt twice";
  EXPECT_EQ(code_of("a201020304"), "cbor.malformed") << "keys that are not text";
}

TEST(AttestationObject_TooDeep_IsRefused, Holds) {
  std::string nested = "a263666d746374706d6761747453746d74a16178";
  for (int i = 0; i <= limits::kAttestationCborDepthMax; ++i) nested += "81";
  EXPECT_EQ(code_of(nested + "00"), "cbor.malformed");
}

TEST(AttestationObject_MembersMissingOrOfAnotherType_AreRefused, Holds) {
  EXPECT_EQ(code_of("80"), "object.members") << "an array";
  EXPECT_EQ(code_of("a0"), "object.members") << "nothing";
  EXPECT_EQ(code_of("a163666d746374706d"), "object.members") << "no attStmt";
  EXPECT_EQ(code_of("a263666d74016761747453746d74a0"), "object.members") << "fmt is a number";
  EXPECT_EQ(code_of("a263666d746374706d6761747453746d7480"), "object.members")
      << "attStmt is an array";
  EXPECT_EQ(code_of("a263666d746374706d6761747453746d74a16373696700"), "object.members")
      << "sig is a number";
  EXPECT_EQ(code_of("a263666d746374706d6761747453746d74a163783563a0"), "object.members")
      << "x5c is a map";
  EXPECT_EQ(code_of("a263666d746374706d6761747453746d74a1637835638740404040404040"),
            "object.members")
      << "x5c too long";
}

TEST(AttestationObject_Oversize_IsRefused, Holds) {
  EXPECT_EQ(parse_attestation_object(Bytes(limits::kAttestationObjectBytesMax + 1, 0)).error().code,
            "cbor.malformed");
  EXPECT_EQ(parse_attestation_object({}).error().code, "cbor.malformed");
}

}  // namespace
}  // namespace keyward::attest
