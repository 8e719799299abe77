// Proves the appraisal of tpm statements: the good one passes, and each rule refuses alone, by its
// code.
#include "firmware/attest/device_attest.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/attest/ak_certificate.h"
#include "tests/support/statement/statement.h"

namespace keyward::attest {
namespace {

using test::StatementMaker;
using test::StatementSpec;

constexpr std::int64_t kAt = 1'790'000'000'000;
constexpr std::int64_t kHourMs = 3'600'000;

const StatementMaker& maker() {
  static const auto* const made = new StatementMaker(kAt);
  return *made;
}

wire::Identifier device(std::string_view value) {
  return {wire::IdentifierType::kPermanentIdentifier, std::string(value)};
}

Appraised<AttestedKey> appraise(const StatementSpec& spec,
                                std::string_view identifier = "DEVICE-1") {
  return appraise_device(maker().attestation_object(spec), device(identifier), "token.thumbprint",
                         {{maker().anchor()}}, kAt);
}

TEST(DeviceAttest_GoodStatement_GivesTheAttestedKey, Holds) {
  const auto result = appraise(StatementMaker::good());
  ASSERT_TRUE(result.has_value()) << result.error().code << ": " << result.error().detail;
  EXPECT_EQ(result->key.spki_sha256(), maker().attested_key().spki_sha256());
  EXPECT_EQ(result->format, "tpm");
}

struct Refused {
  const char* name;
  const char* code;
  std::function<void(StatementSpec&)> spoil;
};
void PrintTo(const Refused& refused, std::ostream* out) { *out << refused.name; }

class DeviceAttestRefusal : public ::testing::TestWithParam<Refused> {};

TEST_P(DeviceAttestRefusal, IsReachedExactly) {
  auto spec = StatementMaker::good();
  GetParam().spoil(spec);
  const auto result = appraise(spec);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, GetParam().code) << result.error().detail;
  EXPECT_GT(result.error().detail.size(), 20u);
}

const Refused kRefusals[] = {
    {"FormatNone", "format.none", [](auto& s) { s.format = "none"; }},
    {"FormatUnknown", "format.unsupported", [](auto& s) { s.format = "TPM"; }},
    {"Version", "tpm.version", [](auto& s) { s.ver = "1.2"; }},
    {"AlgorithmRs1", "tpm.algorithm", [](auto& s) { s.alg = -65535; }},
    {"AlgorithmNone", "tpm.algorithm", [](auto& s) { s.alg = 0; }},
    {"AlgorithmOfAnotherKeyType", "tpm.signature", [](auto& s) { s.alg = -257; }},
    {"WithoutAlg", "tpm.members", [](auto& s) { s.without_member = "alg"; }},
    {"WithoutX5c", "tpm.members", [](auto& s) { s.without_member = "x5c"; }},
    {"WithoutSig", "tpm.members", [](auto& s) { s.without_member = "sig"; }},
    {"WithoutCertInfo", "tpm.members", [](auto& s) { s.without_member = "certInfo"; }},
    {"WithoutPubArea", "tpm.members", [](auto& s) { s.without_member = "pubArea"; }},
    {"WithoutVer", "tpm.version", [](auto& s) { s.without_member = "ver"; }},
    {"CurveNotTaken", "tpm.key-type", [](auto& s) { s.curve = 0x0005; }},
    {"AkVersion1", "ak.version", [](auto& s) { s.ak_version_1 = true; }},
    {"AkKeyTooWeak", "ak.key", [](auto& s) { s.ak_rsa_1024 = true; }},
    {"UnknownCa", "ak.unknown-ca", [](auto& s) { s.unknown_ca = true; }},
    {"ImpostorCa", "ak.chain", [](auto& s) { s.impostor_ca = true; }},
    {"Expired", "ak.expired",
     [](auto& s) { s.ak.not_before_ms = kAt - 2 * kHourMs, s.ak.not_after_ms = kAt - kHourMs; }},
    {"NotYetValid", "ak.not-yet-valid",
     [](auto& s) { s.ak.not_before_ms = kAt + kHourMs, s.ak.not_after_ms = kAt + 2 * kHourMs; }},
    {"AkSubjectNotEmpty", "ak.subject", [](auto& s) { s.ak.empty_subject = false; }},
    {"AkIsCa", "ak.ca", [](auto& s) { s.ak.is_ca = true; }},
    {"AkWithoutBasicConstraints", "ak.ca", [](auto& s) { s.ak.basic_constraints = false; }},
    {"AkWithoutTcgEku", "ak.eku", [](auto& s) { s.ak.usages = {"1.3.6.1.5.5.7.3.2"}; }},
    {"AkWithoutEku", "ak.eku", [](auto& s) { s.ak.usages = {}; }},
    {"AkWithoutSan", "ak.san", [](auto& s) { s.ak.san = false; }},
    {"AkSanNotCritical", "ak.san", [](auto& s) { s.ak.san_critical = false; }},
    {"AkWithoutManufacturer", "ak.san", [](auto& s) { s.ak.tcg_manufacturer = false; }},
    {"AkWithoutModel", "ak.san", [](auto& s) { s.ak.tcg_model = false; }},
    {"AkWithoutVersion", "ak.san", [](auto& s) { s.ak.tcg_version = false; }},
    {"SignedByOtherAk", "tpm.signature", [](auto& s) { s.signed_by_other_ak = true; }},
    {"ChangedCertInfo", "tpm.signature", [](auto& s) { s.flip_cert_info = true; }},
    {"CertInfoMagic", "tpm.cert-info", [](auto& s) { s.magic = 0x12345678; }},
    {"CertInfoIsNotCertify", "tpm.cert-info", [](auto& s) { s.attest_type = 0x8019; }},
    {"CertInfoTrailing", "tpm.cert-info", [](auto& s) { s.trailing_cert_info = true; }},
    {"WrongExtraData", "tpm.extra-data", [](auto& s) { s.key_authorization = "token.other"; }},
    {"ChangedPubArea", "tpm.name", [](auto& s) { s.other_key_in_pub_area = true; }},
    {"PubAreaTrailing", "tpm.pub-area", [](auto& s) { s.trailing_pub_area = true; }},
    {"NameAlgSha1", "tpm.pub-area", [](auto& s) { s.name_alg = 0x0004; }},
    {"NotFixedTpm", "tpm.fixed-tpm", [](auto& s) { s.attributes &= ~0x2u; }},
    {"NotFixedParent", "tpm.fixed-parent", [](auto& s) { s.attributes &= ~0x10u; }},
    {"NotGeneratedInside", "tpm.origin", [](auto& s) { s.attributes &= ~0x20u; }},
    {"Restricted", "tpm.restricted", [](auto& s) { s.attributes |= 0x10000u; }},
    {"MayNotSign", "tpm.sign", [](auto& s) { s.attributes &= ~0x40000u; }},
    {"Rsa1024", "tpm.key-size", [](auto& s) { s.rsa_bits = 1024; }},
    {"NoIdentifier", "ak.no-identifier", [](auto& s) { s.ak.permanent_identifier.reset(); }},
    {"IdentifierOfAnotherDevice", "ak.identifier",
     [](auto& s) { s.ak.permanent_identifier = "DEVICE-2"; }},
};
INSTANTIATE_TEST_SUITE_P(Each, DeviceAttestRefusal, ::testing::ValuesIn(kRefusals),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(DeviceAttest_NoAnchors_IsRefused, Holds) {
  const auto result = appraise_device(maker().attestation_object(StatementMaker::good()),
                                      device("DEVICE-1"), "token.thumbprint", {}, kAt);
  EXPECT_EQ(result.error().code, "ak.unknown-ca");
}

TEST(DeviceAttest_HardwareModule_IsRefused, Holds) {
  const auto result = appraise_device(maker().attestation_object(StatementMaker::good()),
                                      {wire::IdentifierType::kHardwareModule, "S/1.2.3"},
                                      "token.thumbprint", {{maker().anchor()}}, kAt);
  EXPECT_EQ(result.error().code, "identifier.unsupported");
}

TEST(DeviceAttest_Assigner_MatchesAsTheDecisionSays, Holds) {  // D-D8
  auto with = StatementMaker::good();
  with.ak.assigner = "1.2.3.4";
  EXPECT_TRUE(appraise(with, "DEVICE-1").has_value());
  EXPECT_TRUE(appraise(with, "DEVICE-1/1.2.3.4").has_value());
  EXPECT_EQ(appraise(with, "DEVICE-1/1.2.3.5").error().code, "ak.identifier");
  EXPECT_EQ(appraise(StatementMaker::good(), "DEVICE-1/1.2.3.4").error().code, "ak.identifier");
}

TEST(DeviceAttest_Identifier_IsComparedOctetByOctet, Holds) {
  for (const char* other : {"device-1", "DEVICE-1 ", "DEVICE-", "DEVICE-11", ""}) {
    EXPECT_EQ(appraise(StatementMaker::good(), other).error().code, "ak.identifier") << other;
  }
}

TEST(DeviceAttest_EachOctetChanged_IsNeverAccepted, Holds) {
  const auto good = maker().attestation_object(StatementMaker::good());
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto changed = good;
    changed[i] ^= 1;
    EXPECT_FALSE(
        appraise_device(changed, device("DEVICE-1"), "token.thumbprint", {{maker().anchor()}}, kAt)
            .has_value())
        << "octet " << i;
  }
}

TEST(DeviceAttest_EachTruncation_IsRefused, Holds) {
  const auto good = maker().attestation_object(StatementMaker::good());
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto result = appraise_device({good.data(), size}, device("DEVICE-1"), "token.thumbprint",
                                        {{maker().anchor()}}, kAt);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, "cbor.malformed") << size;
  }
}

}  // namespace
}  // namespace keyward::attest
