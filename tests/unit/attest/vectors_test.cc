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

TEST_F(WebAuthnVectors, EveryOtherStatement_IsRefusedByItsFormat) {
  int seen = 0;
  for (const auto& item : document_->root().get("vectors").items()) {
    const auto name = item.get("name").string();
    if (name.starts_with("tpm")) continue;
    const auto bytes = *hex_decode(item.get("attestationObject").string());
    const auto result = appraise_device(bytes, {wire::IdentifierType::kPermanentIdentifier, "X"},
                                        "token.thumbprint", policy_, kAt);
    ASSERT_FALSE(result.has_value()) << name;
    EXPECT_EQ(result.error().code, name.starts_with("none") ? "format.none" : "format.unsupported")
        << name;
    ++seen;
  }
  EXPECT_EQ(seen, 14);
}

}  // namespace
}  // namespace keyward::attest
