// Runs the W3C WebAuthn Level 3 vectors (KEYWARD_VECTORS) through the same code: statements of
// another implementation, with their own octets as the signed ones.
#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/attest/tpm_format.h"
#include "firmware/json/json.h"
#include "hal/base/file.h"

namespace keyward::attest {
namespace {

constexpr std::int64_t kAt = 1'790'000'000'000;

class WebAuthnVectors : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* folder = ::getenv("KEYWARD_VECTORS");
    const auto text = folder != nullptr
                          ? read_text_file(std::string(folder) + "/webauthn-l3.json", 1u << 20)
                          : Result<std::string>(fail(ErrorKind::kUnavailable, ""));
    if (!text)
      GTEST_SKIP() << "SKIPPED LOUDLY: no webauthn-l3.json: set KEYWARD_VECTORS to the folder of "
                      "test vectors";
    auto document = json::Document::parse(*text, 1u << 20);
    ASSERT_TRUE(document.has_value()) << document.error().what;
    document_.emplace(std::move(*document));
    auto root = x509::parse_certificate(
        *hex_decode(document_->root().get("attestation_root_der").string()));
    ASSERT_TRUE(root.has_value()) << root.error().what;
    policy_.ak_anchors.push_back(std::move(*root));
  }
  json::Value vector(std::string_view name) const {
    for (const auto& item : document_->root().get("vectors").items()) {
      if (item.get("name").string() == name) return item;
    }
    return json::Value();
  }
  std::optional<json::Document> document_;
  DeviceAttestPolicy policy_;
};

TEST_F(WebAuthnVectors, TpmEs256_PassesEveryCheckOfTheFormatAndFailsWhereTheDraftIsStricter) {
  const auto v = vector("tpm-es256");
  const auto bytes = *hex_decode(v.get("attestationObject").string());
  const auto object = parse_attestation_object(bytes);
  ASSERT_TRUE(object.has_value()) << object.error().detail;
  ASSERT_TRUE(object->auth_data.has_value());
  Bytes signed_octets = *object->auth_data;
  append(signed_octets, crypto::sha256(*hex_decode(v.get("clientDataJSON").string())));
  const wire::Identifier device{wire::IdentifierType::kPermanentIdentifier, "X"};
  // Chain, AK certificate, signature, certInfo, extraData and name all hold; the vector's key is
  // not fixedTPM, which device-attest-01 needs: that, and nothing before it, is the refusal.
  EXPECT_EQ(appraise_tpm(*object, device, signed_octets, policy_, kAt).error().code,
            "tpm.fixed-tpm");
  signed_octets.back() ^= 1;
  EXPECT_EQ(appraise_tpm(*object, device, signed_octets, policy_, kAt).error().code,
            "tpm.extra-data");
  // For device-attest-01 itself the statement answers no challenge of ours.
  EXPECT_EQ(appraise_device(bytes, device, "token.thumbprint", policy_, kAt).error().code,
            "tpm.extra-data");
}

// What each format demands of its vector when the vector's own octets are the signed ones. The
// format's whole procedure holds where the refusal comes from what device-attest-01 wants beyond it:
// a device's identifier, a key that may be certified, hardware that keeps it.
struct Expected {
  const char* name;
  const char* code;        // through the vector's own octets
  const char* code_other;  // the last octet of the signed ones changed
  const char* code_acme;   // as an answer to a challenge of ours
};
constexpr Expected kExpected[] = {
    {"none-es256", "format.none", "format.none", "format.none"},
    {"packed-self-es256", "packed.self", "packed.self", "packed.self"},
    {"none-es256-crossOrigin", "format.none", "format.none", "format.none"},
    {"none-es256-topOrigin", "format.none", "format.none", "format.none"},
    {"none-es256-long-credential-id", "format.none", "format.none", "format.none"},
    {"packed-es256", "packed.no-identifier", "packed.signature", "packed.signature"},
    {"packed-es384", "packed.no-identifier", "packed.signature", "packed.signature"},
    {"packed-es512", "packed.key", "packed.signature", "packed.signature"},
    {"packed-rs256", "packed.no-identifier", "packed.signature", "packed.signature"},
    {"packed-eddsa", "packed.key", "packed.signature", "packed.signature"},
    {"packed-ed448", "packed.key", "packed.signature", "packed.signature"},
    {"tpm-es256", "tpm.fixed-tpm", "tpm.extra-data", "tpm.extra-data"},
    {"android-key-es256", "android.security-level", "android.signature", "android.signature"},
    {"apple-es256", "apple.anonymous", "apple.freshness", "apple.anonymous"},
    {"fido-u2f-es256", "format.unsupported", "format.unsupported", "format.unsupported"},
};

TEST_F(WebAuthnVectors, AllFifteen_BehaveAsTheirFormatDemands) {
  DeviceAttestPolicy policy = policy_;
  policy.packed.emplace().roots = policy_.ak_anchors;
  policy.packed->allow_backup_eligible = true;
  policy.apple.emplace().roots = policy_.ak_anchors;
  policy.apple->require_external_account = false;
  policy.android.emplace().roots = policy_.ak_anchors;
  policy.step.emplace().roots = policy_.ak_anchors;
  const wire::Identifier device{wire::IdentifierType::kPermanentIdentifier, "X"};
  EXPECT_EQ(document_->root().get("vectors").items().size(), std::size(kExpected));
  for (const auto& expected : kExpected) {
    const auto v = vector(expected.name);
    ASSERT_TRUE(v.exists()) << expected.name;
    const auto bytes = *hex_decode(v.get("attestationObject").string());
    const auto object = parse_attestation_object(bytes);
    ASSERT_TRUE(object.has_value()) << expected.name << object.error().detail;
    DeviceChallenge challenge;
    challenge.to_be_signed = *object->auth_data;
    append(*challenge.to_be_signed, crypto::sha256(*hex_decode(v.get("clientDataJSON").string())));
    const auto code = [&](const DeviceChallenge& asked) {
      const auto result = appraise_device(bytes, device, asked, policy, kAt);
      return result ? std::string("accepted") : result.error().code;
    };
    EXPECT_EQ(code(challenge), expected.code) << expected.name;
    challenge.to_be_signed->back() ^= 1;
    EXPECT_EQ(code(challenge), expected.code_other) << expected.name;
    EXPECT_EQ(code({"token.thumbprint"}), expected.code_acme) << expected.name;
  }
}

TEST_F(WebAuthnVectors, PackedCredentials_AreThoseThatMayBeCopied) {
  DeviceAttestPolicy policy = policy_;
  policy.packed.emplace().roots = policy_.ak_anchors;
  const auto v = vector("packed-es256");
  const auto bytes = *hex_decode(v.get("attestationObject").string());
  DeviceChallenge challenge;
  challenge.to_be_signed = *parse_attestation_object(bytes)->auth_data;
  append(*challenge.to_be_signed, crypto::sha256(*hex_decode(v.get("clientDataJSON").string())));
  EXPECT_EQ(appraise_device(bytes, {wire::IdentifierType::kPermanentIdentifier, "X"}, challenge,
                            policy, kAt)
                .error()
                .code,
            "packed.backup-eligible");
}

TEST_F(WebAuthnVectors, OtherFormats_AreOffUnlessThePolicyHasThem) {
  for (const auto& expected : kExpected) {
    const std::string_view name = expected.name;
    if (name.starts_with("tpm")) continue;
    const auto bytes = *hex_decode(vector(name).get("attestationObject").string());
    const auto result = appraise_device(bytes, {wire::IdentifierType::kPermanentIdentifier, "X"},
                                        "token.thumbprint", policy_, kAt);
    ASSERT_FALSE(result.has_value()) << name;
    EXPECT_EQ(result.error().code, name.starts_with("none") ? "format.none" : "format.unsupported")
        << name;
  }
}

}  // namespace
}  // namespace keyward::attest
