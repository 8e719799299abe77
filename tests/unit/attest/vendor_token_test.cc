// Proves the verification of vendors' tokens: the good one passes in each form, and each rule
// refuses alone, by its code.
#include "firmware/attest/vendor_token.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/attest/spent_tokens.h"
#include "firmware/jose/jwk.h"
#include "hal/base/file.h"
#include "tests/support/authority/authority.h"

namespace keyward::attest {
namespace {

using crypto::KeyKind;

constexpr std::int64_t kAt = 1'790'000'000'000;
constexpr std::int64_t kAtS = kAt / 1'000;
const wire::Identifier kMac{wire::IdentifierType::kMac, "00:24:98:7b:19:02"};

Digest256 account() {
  Digest256 out{};
  out.fill(0x5a);
  return out;
}

const crypto::PrivateKey& key_of(KeyKind kind) {
  static auto* const keys = new std::map<KeyKind, crypto::PrivateKey>;
  if (!keys->contains(kind)) keys->emplace(kind, *crypto::PrivateKey::generate(kind));
  return keys->at(kind);
}

struct Spec {
  std::string alg = "ES256";
  KeyKind kind = KeyKind::kEcP256;
  crypto::SignatureScheme scheme = crypto::SignatureScheme::kEcdsaRaw;
  crypto::HashAlgorithm hash = crypto::HashAlgorithm::kSha256;
  std::string header = "\"typ\":\"JWT\",\"kid\":\"k1\"";
  std::string iss = "\"iss\":\"as.vendor.com\"";
  std::string sub = ",\"sub\":\"00-24-98-7B-19-02\"";
  std::string aud = ",\"aud\":[\"Customer.com\",\"acme.com\"]";
  std::string exp = ",\"exp\":" + std::to_string(kAtS + 300);
  std::string jti = ",\"jti\":\"1\"";
  std::string binding = ",\"cnf\":{\"jkt\":\"" + base64url_encode(account()) + "\"}";
  std::string more;
  std::string other_payload;  // put in after signing
  bool other_key = false;
  std::string payload() const { return "{" + iss + sub + aud + exp + jti + binding + more + "}"; }
};

std::string token_of(const Spec& spec) {
  const auto header = "{\"alg\":\"" + spec.alg + "\"," + spec.header + "}";
  const auto text =
      base64url_encode(view_of(header)) + "." + base64url_encode(view_of(spec.payload()));
  static const auto other = *crypto::PrivateKey::generate(KeyKind::kEcP256);
  const auto& key = spec.other_key ? other : key_of(spec.kind);
  const auto signature = key.sign(spec.scheme, spec.hash, view_of(text));
  auto out = text;
  if (!spec.other_payload.empty())
    out = text.substr(0, text.find('.') + 1) + base64url_encode(view_of(spec.other_payload));
  return out + "." + base64url_encode(*signature);
}

Vendor vendor() {
  Vendor out;
  out.name = "vendor";
  out.iss = "as.vendor.com";
  for (const auto kind : {KeyKind::kEcP256, KeyKind::kEcP384, KeyKind::kRsa, KeyKind::kEd25519})
    out.keys.push_back({"k1", key_of(kind).public_key()});
  out.audience = "acme.com";
  out.algorithms = {"ES256", "ES384", "PS256", "RS256", "EdDSA"};
  out.mac_prefixes = {"00:24:98"};
  return out;
}

VendorVerdict ask(const std::string& token, const Vendor& rules = vendor(), bool atc = false) {
  return verify_vendor_token({token, &kMac, account(), atc}, {rules}, kAt);
}
std::string code_of(const VendorVerdict& verdict) {
  return verdict.refusal ? verdict.refusal->code : "good";
}
template <class Change>
std::string changed(Change change) {
  Spec spec;
  change(spec);
  return code_of(ask(token_of(spec)));
}
template <class Change>
std::string ruled(Change change, const Spec& spec = {}) {
  auto rules = vendor();
  change(rules);
  return code_of(ask(token_of(spec), rules));
}

TEST(VendorToken_Good, SaysWhoAndUntilWhen) {
  const auto verdict = ask(token_of({}));
  EXPECT_EQ(code_of(verdict), "good");
  EXPECT_EQ(verdict.domains, std::vector<std::string>{"customer.com"});
  EXPECT_EQ(verdict.expires_ms, (kAtS + 300) * 1'000);
  EXPECT_EQ(verdict.vendor, "vendor");
  // ECDSA signatures differ; the token is the same.
  EXPECT_EQ(verdict.token_id, ask(token_of({})).token_id);
  Spec other;
  other.jti = ",\"jti\":\"2\"";
  EXPECT_NE(verdict.token_id, ask(token_of(other)).token_id);
}

TEST(VendorToken_EveryAlgorithm, Holds) {
  using crypto::HashAlgorithm;
  using crypto::SignatureScheme;
  const auto with = [](const char* alg, KeyKind kind, SignatureScheme scheme, HashAlgorithm hash) {
    Spec spec;
    spec.alg = alg;
    spec.kind = kind;
    spec.scheme = scheme;
    spec.hash = hash;
    return code_of(ask(token_of(spec)));
  };
  EXPECT_EQ(with("ES384", KeyKind::kEcP384, SignatureScheme::kEcdsaRaw, HashAlgorithm::kSha384),
            "good");
  EXPECT_EQ(with("RS256", KeyKind::kRsa, SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha256),
            "good");
  EXPECT_EQ(with("PS256", KeyKind::kRsa, SignatureScheme::kRsaPss, HashAlgorithm::kSha256), "good");
  EXPECT_EQ(with("EdDSA", KeyKind::kEd25519, SignatureScheme::kEd25519, HashAlgorithm::kSha512),
            "good");
  EXPECT_EQ(with("PS256", KeyKind::kRsa, SignatureScheme::kRsaPkcs1, HashAlgorithm::kSha256),
            "vendor.signature");
}

TEST(VendorToken_Atc, HoldsWithTktypeMac) {
  Spec spec;
  spec.sub.clear();
  spec.binding.clear();
  const auto atc = [&](const std::string& type, const std::string& value, const std::string& more) {
    spec.more = ",\"atc\":{\"tktype\":\"" + type + "\",\"tkvalue\":\"" + value +
                "\",\"fingerprint\":\"" + test::fingerprint_text(account()) + "\"" + more + "}";
    return code_of(ask(token_of(spec), vendor(), true));
  };
  EXPECT_EQ(atc("mac", "0024987b1902", ""), "good");
  EXPECT_EQ(atc("TNAuthList", "0024987b1902", ""), "vendor.type");
  EXPECT_EQ(atc("mac", "0024987b1902", ",\"ca\":true"), "vendor.ca");
  EXPECT_EQ(atc("mac", "0024987b1903", ""), "vendor.sub");
  spec.more.clear();
  EXPECT_EQ(code_of(ask(token_of(spec), vendor(), true)), "vendor.atc");
}

TEST(VendorToken_X5c, NeedsTheVendorsRoot) {
  const test::AuthorityMaker maker(kAt), stranger(kAt, {.other_root = true});
  auto rules = vendor();
  rules.keys.clear();
  rules.roots = {maker.root()};
  test::AuthorityTokenSpec spec;
  spec.x5c = true;
  spec.claims = Spec{}.payload();
  EXPECT_EQ(code_of(ask(maker.token(spec), rules)), "good");
  EXPECT_EQ(code_of(ask(stranger.token(spec), rules)), "vendor.certificate");
  EXPECT_EQ(code_of(ask(maker.token(spec))), "vendor.certificate");  // none trusted
}

TEST(VendorToken_EachRule, RefusesByItsCode) {
  EXPECT_EQ(code_of(ask("a.b")), "vendor.syntax");
  EXPECT_EQ(changed([](auto& s) { s.header += ",\"jwk\":{}"; }), "vendor.syntax");
  EXPECT_EQ(changed([](auto& s) { s.alg = "none"; }), "vendor.algorithm");
  EXPECT_EQ(changed([](auto& s) { s.alg = "HS256"; }), "vendor.algorithm");
  EXPECT_EQ(ruled([](auto& r) { r.algorithms = {"ES384"}; }), "vendor.algorithm");
  EXPECT_EQ(changed([](auto& s) { s.header = "\"kid\":\"k2\""; }), "vendor.key");
  EXPECT_EQ(changed([](auto& s) { s.other_key = true; }), "vendor.signature");
  EXPECT_EQ(changed([](auto& s) { s.other_payload = "{}"; }), "vendor.signature");
  EXPECT_EQ(changed([](auto& s) { s.more = ",\"nbf\":\"x\""; }), "vendor.claims");
  EXPECT_EQ(changed([](auto& s) { s.iss = "\"iss\":\"as.vendor.com/\""; }), "vendor.iss");
  EXPECT_EQ(changed([](auto& s) { s.sub = ",\"sub\":\"00:24:98:7b:19:03\""; }), "vendor.sub");
  EXPECT_EQ(changed([](auto& s) { s.sub.clear(); }), "vendor.sub");
  EXPECT_EQ(changed([](auto& s) { s.aud = ",\"aud\":[\"customer.com\",\"other.com\"]"; }),
            "vendor.aud");
  EXPECT_EQ(changed([](auto& s) { s.aud = ",\"aud\":\"acme.com\""; }), "vendor.aud");
  EXPECT_EQ(changed([](auto& s) { s.aud.clear(); }), "vendor.aud");
  EXPECT_EQ(changed([](auto& s) { s.exp.clear(); }), "vendor.lifetime");
  EXPECT_EQ(changed([](auto& s) { s.exp = ",\"exp\":" + std::to_string(kAtS); }), "vendor.expired");
  EXPECT_EQ(changed([](auto& s) { s.more = ",\"nbf\":" + std::to_string(kAtS + 61); }),
            "vendor.not-yet");
  EXPECT_EQ(changed([](auto& s) { s.jti.clear(); }), "vendor.jti");
  EXPECT_EQ(changed([](auto& s) { s.binding.clear(); }), "vendor.fingerprint");
  EXPECT_EQ(changed([](auto& s) {
              s.binding = ",\"cnf\":{\"jkt\":\"" + base64url_encode(Digest256{}) + "\"}";
            }),
            "vendor.fingerprint");
  EXPECT_EQ(ruled([](auto& r) { r.mac_prefixes = {"00:24:9"}; }), "vendor.mac");
  EXPECT_EQ(ruled([](auto& r) { r.mac_prefixes = {"00:24:99"}; }), "vendor.mac");
}

TEST(VendorMutation, EachMemberOfTheHeader) {
  const auto header = [](const char* text) { return changed([&](auto& s) { s.header = text; }); };
  EXPECT_EQ(header(R"("kid":"k1")"), "good");
  for (const char* wrong : {R"("kid":1)", R"("typ":"JOSE")", R"("typ":1)", R"("crit":["x"])",
                            R"("b64":false)", R"("jku":"https://x")", R"("x5c":[])",
                            R"("x5c":"AA")", R"("x5c":["-"])", R"("kid":"k1","kid":"k1")"})
    EXPECT_EQ(header(wrong), "vendor.syntax") << wrong;
  EXPECT_EQ(header(R"("x5c":["AA=="])"), "vendor.certificate");
}

TEST(VendorMutation, EachClaim_OfAnotherType) {
  const auto claim = [](const char* text) {
    return changed([&](auto& s) {
      const std::string_view name = std::string_view(text).substr(1, 4);
      if (name == "\"iss") s.iss = std::string_view(text).substr(1);
      if (name == "\"sub") s.sub.clear();
      if (name == "\"aud") s.aud.clear();
      if (name == "\"exp") s.exp.clear();
      if (name == "\"jti") s.jti.clear();
      if (name == "\"cnf") s.binding.clear();
      if (name != "\"iss") s.more = text;
    });
  };
  for (const char* wrong : {R"(,"iss":1)",
                            R"(,"sub":1)",
                            R"(,"sub":["00-24-98-7B-19-02"])",
                            R"(,"aud":1)",
                            R"(,"aud":{})",
                            R"(,"aud":["acme.com",1])",
                            R"(,"exp":"1790000300")",
                            R"(,"exp":-1)",
                            R"(,"exp":1.5)",
                            R"(,"exp":253402300800)",
                            R"(,"nbf":-1)",
                            R"(,"iat":"1")",
                            R"(,"jti":1)",
                            R"(,"cnf":1)",
                            R"(,"cnf":{})",
                            R"(,"cnf":{"jkt":1})",
                            R"(,"fingerprint":1)",
                            R"(,"atc":1)",
                            R"(,"atc":{"tktype":"mac"})",
                            R"(,"atc":{"tktype":"mac","tkvalue":1})",
                            R"(,"atc":{"tktype":"mac","tkvalue":"0024987b1902","ca":1})",
                            R"(,"jti":"1","jti":"1")"})
    EXPECT_EQ(claim(wrong), "vendor.claims") << wrong;
  EXPECT_EQ(changed([](auto& s) { s.jti = ",\"jti\":\"" + std::string(257, 'a') + "\""; }),
            "vendor.claims");
  EXPECT_EQ(changed([](auto& s) { s.iss.replace(0, 5, "\"xxx\""); }), "vendor.iss");
}

TEST(VendorMutation, EachOctetOfTheToken_IsRefused) {
  const auto good = token_of({});
  for (std::size_t at = 0; at < good.size(); ++at) {
    auto bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    EXPECT_TRUE(code_of(ask(bad)).starts_with("vendor.")) << at;
  }
}

TEST(VendorToken_TokenOf2019, HoldsWhereThePolicySaysSo) {
  Spec spec;
  spec.exp = ",\"iat\":" + std::to_string(kAtS - 10);
  spec.jti.clear();
  spec.binding.clear();
  const auto lenient = [](auto& rules) {
    rules.age_max_s = 60;
    rules.must_have_id = false;
    rules.must_name_account = false;
  };
  EXPECT_EQ(ruled(lenient, spec), "good");
  spec.exp = ",\"iat\":" + std::to_string(kAtS - 60);
  EXPECT_EQ(ruled(lenient, spec), "vendor.expired");
}

TEST(VendorToken_KeyOfTwoVendors, IsTheOneThatIssNames) {
  auto other = vendor();
  other.iss = "as.other.com";
  other.mac_prefixes = {"ff:ff:ff"};
  const auto verdict =
      verify_vendor_token({token_of({}), &kMac, account(), false}, {other, vendor()}, kAt);
  EXPECT_EQ(code_of(verdict), "good");
}

TEST(VendorToken_Replayed, ForAnotherUse) {
  auto name = (std::filesystem::temp_directory_path() / "keyward-vendor-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const auto spent = SpentTokens::open(name + "/spent", kAt);
  ASSERT_TRUE(spent);
  const auto verdict = ask(token_of({}));
  EXPECT_TRUE((*spent)->spend(verdict.token_id, account(), verdict.expires_ms, kAt));
  EXPECT_TRUE((*spent)->spend(verdict.token_id, account(), verdict.expires_ms, kAt));
  EXPECT_FALSE((*spent)->spend(verdict.token_id, Digest256{}, verdict.expires_ms, kAt));
  std::filesystem::remove_all(name);
}

TEST(VendorConfig_Wrong, DoesNotLoad) {
  auto name = (std::filesystem::temp_directory_path() / "keyward-vendor-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const auto jwk = *jose::Jwk::from_public_key(key_of(KeyKind::kEcP256).public_key());
  ASSERT_TRUE(replace_file(name + "/keys", view_of("{\"keys\":[" + jwk.canonical() + "]}"), 0600));
  VendorConfig good;
  good.name = "v";
  good.iss = "as.vendor.com";
  good.keys = name + "/keys";
  good.audience = "acme.com";
  good.macs = {"00-24-98"};
  const auto loaded = load_vendors({good});
  ASSERT_TRUE(loaded) << loaded.error().what;
  EXPECT_EQ(loaded->at(0).algorithms, std::vector<std::string>{"ES256"});
  EXPECT_EQ(loaded->at(0).mac_prefixes, std::vector<std::string>{"00:24:98"});
  EXPECT_FALSE(load_vendors({good, good}));
  const auto wrong = [&](auto change) {
    auto config = good;
    change(config);
    return !load_vendors({config});
  };
  EXPECT_TRUE(wrong([](auto& c) { c.iss.clear(); }));
  EXPECT_TRUE(wrong([](auto& c) { c.audience.clear(); }));
  EXPECT_TRUE(wrong([](auto& c) { c.keys.clear(); }));
  EXPECT_TRUE(wrong([](auto& c) { c.macs.clear(); }));
  EXPECT_TRUE(wrong([](auto& c) { c.macs = {"00:2"}; }));
  EXPECT_TRUE(wrong([](auto& c) { c.algorithms = {"HS256"}; }));
  EXPECT_FALSE(parse_key_set("{\"keys\":[]}"));
  EXPECT_FALSE(parse_key_set("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}"));
  std::filesystem::remove_all(name);
}

}  // namespace
}  // namespace keyward::attest
