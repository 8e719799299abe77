// The signed bundle of vendor roots: nothing is read before the signature holds, no older one comes
// back, and a form that is not known is refused.
#include "firmware/attest/vendor_roots.h"

#include <gtest/gtest.h>

#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "tests/support/endorsement/endorsement.h"

namespace keyward::attest {
namespace {

constexpr std::int64_t kNowMs = 1'790'000'000'000;

struct Publisher {
  crypto::PrivateKey key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  std::string jwk = jose::Jwk::from_public_key(key.public_key())->canonical();
};
const Publisher& publisher() {
  static const Publisher made;
  return made;
}
const Publisher& other_publisher() {
  static const Publisher made;
  return made;
}

std::string entry(const x509::Certificate& certificate, std::string_view use) {
  json::Writer out;
  out.begin_object().member("vendor", "Maker").member("use", use);
  return out.member("pem", x509::to_pem("CERTIFICATE", certificate.der)).end_object().take();
}
std::string manifest(std::int64_t version, const std::string& entries,
                     std::string_view date = "2026-11-01T00:00:00Z",
                     std::string_view type = "keyward-vendor-roots") {
  json::Writer out;
  out.begin_object().member("type", type).member_int("version", version).member("date", date);
  return out.key("certificates").raw("[" + entries + "]").end_object().take();
}
const test::EkMaker& maker() {
  static const test::EkMaker made(kNowMs);
  return made;
}
std::string both() {
  return entry(maker().root(), "root") + "," + entry(maker().intermediate(), "intermediate");
}
std::string why(const Result<ImportedRoots>& result) { return result ? "" : result.error().what; }

TEST(VendorRootsTest, SignedAndImported_ReadsBackFromItsFile) {
  const auto bundle = sign_bundle(manifest(3, both()), publisher().key);
  ASSERT_TRUE(bundle) << bundle.error().what;
  const auto imported = import_bundle(*bundle + "\n", publisher().jwk, nullptr, false);
  ASSERT_TRUE(imported) << imported.error().what;
  EXPECT_EQ(imported->roots.version, 3);
  ASSERT_EQ(imported->roots.of(RootUse::kRoot).size(), 1u);
  EXPECT_EQ(imported->roots.of(RootUse::kRoot)[0].der, maker().root().der);
  EXPECT_EQ(imported->roots.of(RootUse::kIntermediate).size(), 1u);
  const auto again = parse_imported(view_of(to_file(*imported)));
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_EQ(again->roots.certificates.size(), 2u);
}

TEST(VendorRootsTest, Revoked_IsNeitherRootNorIntermediate_AndNamesTheKey) {
  const auto roots = parse_manifest(
      manifest(3, entry(maker().root(), "root") + "," + entry(maker().intermediate(), "revoked")));
  ASSERT_TRUE(roots) << roots.error().what;
  EXPECT_EQ(roots->of(RootUse::kRoot).size(), 1u);
  EXPECT_TRUE(roots->of(RootUse::kIntermediate).empty());
  ASSERT_EQ(roots->revoked_keys().size(), 1u);
  EXPECT_EQ(roots->revoked_keys()[0], crypto::sha256(maker().intermediate().spki_der));
}

TEST(VendorRootsTest, EachRefusal_IsReached) {
  const auto good = *sign_bundle(manifest(3, both()), publisher().key);
  const auto before = *import_bundle(good, publisher().jwk, nullptr, false);
  EXPECT_EQ(why(import_bundle(good, other_publisher().jwk, nullptr, false)),
            "bundle: the signature is not the publisher's");
  const auto of_other = *sign_bundle(manifest(4, both()), other_publisher().key);
  EXPECT_EQ(why(import_bundle(of_other, other_publisher().jwk, &before, false)),
            "bundle: another publisher than the one that is trusted");
  EXPECT_EQ(why(import_bundle(of_other, other_publisher().jwk, &before, true)), "");
  const auto older = *sign_bundle(manifest(2, both()), publisher().key);
  EXPECT_EQ(why(import_bundle(older, publisher().jwk, &before, false)),
            "bundle: older than the one that is imported");
  EXPECT_EQ(why(import_bundle(older, publisher().jwk, &before, true)), "");
  EXPECT_EQ(why(import_bundle("one.two", publisher().jwk, nullptr, false)),
            "bundle: not a compact JWS");
  EXPECT_EQ(why(import_bundle(good + ".x", publisher().jwk, nullptr, false)),
            "bundle: not a compact JWS");
}

// Whatever stands in it: signed by the right key, so that the manifest's own rules answer.
TEST(VendorRootsTest, EachManifestThatIsWrong_IsRefused) {
  const auto refused = [](const std::string& text) -> std::string {
    const auto parsed = parse_manifest(text);
    EXPECT_FALSE(sign_bundle(text, publisher().key));
    return parsed ? "" : parsed.error().what;
  };
  EXPECT_EQ(refused(manifest(3, both(), "2026-11-01T00:00:00Z", "roots")),
            "bundle: not of type keyward-vendor-roots");
  EXPECT_EQ(refused(manifest(0, both())), "bundle: version");
  EXPECT_EQ(refused(manifest(3, both(), "2026-11-01")), "bundle: date");
  EXPECT_EQ(refused(manifest(3, entry(maker().intermediate(), "intermediate"))),
            "bundle: no root in it");
  EXPECT_EQ(refused(manifest(3, entry(maker().root(), "leaf"))), "bundle: use");
  EXPECT_EQ(refused(manifest(3, both() + "," + entry(maker().root(), "root"))),
            "bundle: a certificate stands twice");
  EXPECT_EQ(refused(manifest(3, R"({"vendor":"x","use":"root","pem":""})")),
            "bundle: an entry is not one certificate");
  EXPECT_EQ(refused(manifest(3, R"({"vendor":"","use":"root","pem":""})")), "bundle: vendor");
  EXPECT_EQ(refused(manifest(3, R"({"vendor":"x","use":"root","pem":"","more":1})")),
            "bundle: unknown member");
  EXPECT_EQ(refused("[]"), "bundle: not an object");
}

TEST(VendorRootsTest, SignatureForAnotherPurpose_IsNotABundle) {
  const std::string header = base64url_encode(view_of(R"({"alg":"ES256","typ":"JWT"})"));
  const auto input = header + "." + base64url_encode(view_of(manifest(3, both())));
  const auto signature = *publisher().key.sign(crypto::SignatureScheme::kEcdsaRaw,
                                               crypto::HashAlgorithm::kSha256, view_of(input));
  EXPECT_EQ(why(import_bundle(input + "." + base64url_encode(signature), publisher().jwk, nullptr,
                              false)),
            "bundle: not typ keyward-roots+json");
  const auto none = base64url_encode(view_of(R"({"alg":"none","typ":"keyward-roots+json"})"));
  const auto unsigned_input = none + "." + base64url_encode(view_of(manifest(3, both())));
  EXPECT_EQ(why(import_bundle(unsigned_input + ".", publisher().jwk, nullptr, false)),
            "bundle: not a compact JWS");
  EXPECT_EQ(why(import_bundle(unsigned_input + ".AAAA", publisher().jwk, nullptr, false)),
            "bundle: signature algorithm is not taken");
}

}  // namespace
}  // namespace keyward::attest
