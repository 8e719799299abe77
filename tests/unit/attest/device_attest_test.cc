// Proves the appraisal of tpm statements: the good one passes, and each rule refuses alone, by its
// code.
#include "firmware/attest/device_attest.h"

#include <functional>
#include <map>

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

TEST(DeviceAttest_GoodStatement_IsExplainedCheckByCheck, Holds) {
  Checks checks;
  const auto result =
      appraise_device(maker().attestation_object(StatementMaker::good()), device("DEVICE-1"),
                      DeviceChallenge{"token.thumbprint"}, {{maker().anchor()}}, kAt, &checks);
  ASSERT_TRUE(result.has_value());
  ASSERT_EQ(checks.size(), 10u);
  EXPECT_EQ(checks.front().id, "cbor.malformed");
  EXPECT_EQ(checks.back().id, "ak.identifier");
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
    {"NameAlgUnknown", "tpm.pub-area", [](auto& s) { s.name_alg = 0x0012; }},  // SM3
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

TEST(DeviceAttest_OtherIdentifierType_IsRefused, Holds) {
  const auto result = appraise_device(maker().attestation_object(StatementMaker::good()),
                                      {wire::IdentifierType::kDns, "a.example"}, "token.thumbprint",
                                      {{maker().anchor()}}, kAt);
  EXPECT_EQ(result.error().code, "identifier.unsupported");
}

// ---- hardware-module

constexpr const char* kTpmModule = "2.23.133.1.2";

// The code of the refusal; "" if there is none.
std::string module_code(const StatementSpec& spec, std::string_view value,
                        std::map<std::string, std::string> types = {}) {
  DeviceAttestPolicy policy{{maker().anchor()}, std::move(types)};
  const auto result = appraise_device(maker().attestation_object(spec),
                                      {wire::IdentifierType::kHardwareModule, std::string(value)},
                                      "token.thumbprint", policy, kAt);
  return result ? "" : result.error().code;
}

StatementSpec with_module(std::string type, std::string serial) {
  auto spec = StatementMaker::good();
  spec.ak.hardware_module = {std::move(type), std::move(serial)};
  return spec;
}

TEST(DeviceAttest_HardwareModule_IsTheCertificatesOctetByOctet, Holds) {
  const auto spec = with_module(kTpmModule, "SN-7");
  EXPECT_EQ(module_code(spec, "SN-7/2.23.133.1.2"), "");
  for (const char* other : {"sn-7/2.23.133.1.2", "SN-7/2.23.133.1.3", "SN-77/2.23.133.1.2",
                            "SN-/2.23.133.1.2", "SN-7/2.23.133.1", "SN-7", "DEVICE-1/2.23.133.1.2"})
    EXPECT_EQ(module_code(spec, other), "ak.identifier") << other;
}

TEST(DeviceAttest_HardwareModule_ArcsOfAnySize, Holds) {
  // 2.25 and a UUID: an arc of 128 bits (X.667); one of its digits is another type.
  const std::string type = "2.25.329800735698586629295641978511506172918";
  const auto spec = with_module(type, "SN-7");
  EXPECT_EQ(module_code(spec, "SN-7/" + type), "");
  EXPECT_EQ(module_code(spec, "SN-7/2.25.329800735698586629295641978511506172919"),
            "ak.identifier");
  EXPECT_EQ(module_code(spec, "SN-7/2.25.18446744073709551615"), "ak.identifier");
}

TEST(DeviceAttest_HardwareModule_SerialOfOtherOctetsThanText_IsNoOrders, Holds) {
  const auto spec = with_module(kTpmModule, std::string("a/\x00\xff", 4));
  EXPECT_EQ(module_code(spec, "a/2.23.133.1.2"), "ak.identifier");
  EXPECT_EQ(module_code(with_module(kTpmModule, ""), "a/2.23.133.1.2"), "ak.no-identifier");
}

TEST(DeviceAttest_HardwareModule_NothingAsserted_IsNoIdentifier, Holds) {
  EXPECT_EQ(module_code(StatementMaker::good(), "DEVICE-1/2.23.133.1.2"), "ak.no-identifier");
  auto neither = StatementMaker::good();
  neither.ak.permanent_identifier.reset();
  EXPECT_EQ(module_code(neither, "DEVICE-1/2.23.133.1.2", {{"tpm", kTpmModule}}),
            "ak.no-identifier");
  // Nor does a module stand for a permanent-identifier.
  auto module_alone = with_module(kTpmModule, "DEVICE-1");
  module_alone.ak.permanent_identifier.reset();
  EXPECT_EQ(appraise(module_alone).error().code, "ak.no-identifier");
}

TEST(DeviceAttest_HardwareModule_ByTheTable_IsTheSerialOfThatTypeAlone, Holds) {  // D-D9
  const std::map<std::string, std::string> types = {{"tpm", kTpmModule}};
  EXPECT_EQ(module_code(StatementMaker::good(), "DEVICE-1/2.23.133.1.2", types), "");
  EXPECT_EQ(module_code(StatementMaker::good(), "DEVICE-2/2.23.133.1.2", types), "ak.identifier");
  EXPECT_EQ(module_code(StatementMaker::good(), "DEVICE-1/2.23.133.1.3", types), "ak.identifier");
  EXPECT_EQ(module_code(StatementMaker::good(), "DEVICE-1/2.23.133.1.2", {{"step", kTpmModule}}),
            "ak.no-identifier");
  // What the certificate itself calls a module counts beside the table.
  EXPECT_EQ(module_code(with_module("1.2.3", "SN-7"), "SN-7/1.2.3", types), "");
}

TEST(DeviceAttest_HardwareModule_KeyThatCouldLeave_IsRefused, Holds) {
  auto spec = with_module(kTpmModule, "SN-7");
  spec.attributes &= ~0x2u;
  EXPECT_EQ(module_code(spec, "SN-7/2.23.133.1.2"), "tpm.fixed-tpm");
  spec = with_module(kTpmModule, "SN-7");
  spec.attributes &= ~0x10u;
  EXPECT_EQ(module_code(spec, "SN-7/2.23.133.1.2"), "tpm.fixed-parent");
  // Whatever the format: a statement that does not prove it earns no such name.
  const AttestedKey movable{"x", maker().attested_key(), false};
  const wire::Identifier module{wire::IdentifierType::kHardwareModule, "SN-7/1.2.3"};
  EXPECT_EQ(check_module_key(module, movable).error().code, "identifier.exportable");
  EXPECT_TRUE(check_module_key(device("SN-7"), movable).has_value());
  EXPECT_TRUE(check_module_key(module, {"x", maker().attested_key(), true}).has_value());
}

// ---- algorithms

StatementSpec signed_with(std::int64_t alg) {
  auto spec = StatementMaker::good();
  spec.alg = spec.ak_alg = alg;
  return spec;
}

constexpr std::int64_t kRs1 = -65535;

class DeviceAttestAlgorithm : public ::testing::TestWithParam<std::int64_t> {};
TEST_P(DeviceAttestAlgorithm, IsAcceptedPlainAndAsTpmtSignature) {
  auto spec = signed_with(GetParam());
  auto result = appraise(spec);
  EXPECT_TRUE(result.has_value()) << result.error().code;
  spec.tpmt_signature = true;
  result = appraise(spec);
  EXPECT_TRUE(result.has_value()) << result.error().code;
  spec.tpmt_hash = GetParam() == -7 || GetParam() == -257 || GetParam() == -37 ? 0x000C : 0x000B;
  EXPECT_EQ(appraise(spec).error().code, "tpm.signature-form");
}
TEST_P(DeviceAttestAlgorithm, ExtraDataOfAnotherHash_IsRefused) {
  auto spec = signed_with(GetParam());
  spec.extra_data_sha256 = true;
  const bool is_sha256 = GetParam() == -7 || GetParam() == -257 || GetParam() == -37;
  const auto result = appraise(spec);
  EXPECT_EQ(result ? "" : result.error().code, is_sha256 ? "" : "tpm.extra-data");
}
INSTANTIATE_TEST_SUITE_P(Each, DeviceAttestAlgorithm,
                         ::testing::Values(-7, -35, -36, -257, -258, -259, -37, -38, -39));

TEST(DeviceAttest_SignatureOfAnotherSchemeThanAlg_IsRefused, Holds) {
  auto spec = signed_with(-257);
  spec.alg = -37;  // PS256 said, RS256 used
  EXPECT_EQ(appraise(spec).error().code, "tpm.signature");
  spec.tpmt_signature = true;
  EXPECT_EQ(appraise(spec).error().code, "tpm.signature-form");
  spec.tpmt_scheme = 0x0016;  // RSAPSS said inside too
  EXPECT_EQ(appraise(spec).error().code, "tpm.signature");
}

TEST(DeviceAttest_SignatureInNoForm_IsRefused, Holds) {
  for (const std::int64_t alg : {-7, -257}) {
    auto spec = signed_with(alg);
    spec.tpmt_signature = spec.trailing_sig = true;
    EXPECT_EQ(appraise(spec).error().code, "tpm.signature-form") << alg;
    spec.trailing_sig = false;
    spec.tpmt_scheme = 0x001A;  // TPM_ALG_ECDAA
    EXPECT_EQ(appraise(spec).error().code, "tpm.signature-form") << alg;
  }
  auto spec = signed_with(-257);
  spec.trailing_sig = true;
  EXPECT_EQ(appraise(spec).error().code, "tpm.signature-form");
}

TEST(DeviceAttest_Rs1_OnlyByPolicyAndWithEitherHash, Holds) {  // D-D3
  const auto code = [](const StatementSpec& spec) {
    DeviceAttestPolicy policy{{maker().anchor()}};
    policy.tpm_allow_rs1 = true;
    const auto result = appraise_device(maker().attestation_object(spec), device("DEVICE-1"),
                                        "token.thumbprint", policy, kAt);
    return result ? std::string() : result.error().code;
  };
  auto spec = signed_with(kRs1);
  EXPECT_EQ(appraise(spec).error().code, "tpm.algorithm");
  EXPECT_EQ(code(spec), "");
  spec.extra_data_sha256 = true;
  EXPECT_EQ(code(spec), "");
  spec.tpmt_signature = true;
  EXPECT_EQ(code(spec), "");
  EXPECT_EQ(appraise(spec).error().code, "tpm.algorithm");
  spec.key_authorization = "token.other";
  EXPECT_EQ(code(spec), "tpm.extra-data");
  spec = signed_with(kRs1);
  spec.alg = -257;  // the switch lets nobody sign with SHA-1 under another name
  EXPECT_EQ(code(spec), "tpm.signature");
}

TEST(DeviceAttest_NameAlg_Sha1ToSha512, Holds) {
  for (const auto name_alg : std::initializer_list<std::uint16_t>{0x0004, 0x000B, 0x000C, 0x000D}) {
    auto spec = StatementMaker::good();
    spec.name_alg = name_alg;
    const auto result = appraise(spec);
    EXPECT_TRUE(result.has_value()) << name_alg << " " << result.error().code;
    spec.other_key_in_pub_area = true;
    EXPECT_EQ(appraise(spec).error().code, "tpm.name") << name_alg;
  }
}

TEST(DeviceAttest_AttestedRsa_2048To4096, Holds) {
  for (const int bits : {2048, 3072, 4096}) {
    auto spec = StatementMaker::good();
    spec.rsa_bits = bits;
    const auto result = appraise(spec);
    ASSERT_TRUE(result.has_value()) << bits << " " << result.error().code;
    EXPECT_EQ(result->key.bits(), bits);
  }
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
