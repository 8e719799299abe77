// Proves the verification of authority tokens: the good one passes, and each rule refuses alone, by
// its code.
#include "firmware/attest/authority_token.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/attest/spent_tokens.h"
#include "hal/base/file.h"
#include "tests/support/authority/authority.h"

namespace keyward::attest {
namespace {

using test::AuthorityChainSpec;
using test::AuthorityMaker;
using test::AuthorityTokenSpec;

constexpr std::int64_t kAt = 1'790'000'000'000;
constexpr std::int64_t kHourMs = 3'600'000;

Digest256 filled(std::uint8_t value) {
  Digest256 out{};
  out.fill(value);
  return out;
}

const AuthorityMaker& maker() {
  static const auto* const made = new AuthorityMaker(kAt);
  return *made;
}

AuthorityTokenSpec good() {
  AuthorityTokenSpec spec;
  spec.thumbprint = filled(0x5a);
  return spec;
}

struct Question {
  wire::Identifier identifier{wire::IdentifierType::kTnAuthList, std::string(test::kTnAuthList)};
  std::vector<std::string> hosts = {"authority.example"};
  std::optional<Bytes> fetched;
  bool configured = true;  // the certificate of kX5u is
};

AuthorityVerdict ask(const AuthorityMaker& authority, const std::string& token,
                     const Question& question = {}) {
  AuthorityPolicy policy;
  policy.roots.push_back(authority.root());
  policy.hosts = question.hosts;
  if (question.configured)
    policy.certificates[std::string(test::kX5u)] = to_bytes(authority.chain_pem());
  AuthorityRequest request{token, &question.identifier, filled(0x5a), std::nullopt};
  if (question.fetched) request.fetched = *question.fetched;
  return verify_authority_token(request, policy, kAt);
}

std::string code_of(const AuthorityVerdict& verdict) {
  if (verdict.refusal) return verdict.refusal->code;
  return verdict.fetch_url ? "fetch " + *verdict.fetch_url : "good";
}
std::string code(const AuthorityTokenSpec& spec, const Question& question = {}) {
  return code_of(ask(maker(), maker().token(spec), question));
}
template <class Change>
std::string changed(Change change) {
  auto spec = good();
  change(spec);
  return code(spec);
}
// A chain that is wrong in one way; the token's signature holds under its leaf.
std::string with_chain(const AuthorityChainSpec& chain) {
  const AuthorityMaker authority(kAt, chain);
  return code_of(ask(authority, authority.token(good())));
}

TEST(AuthorityToken_Good, Holds) {
  const auto verdict = ask(maker(), maker().token(good()));
  EXPECT_EQ(code_of(verdict), "good");
  EXPECT_EQ(verdict.expires_ms, kAt + kHourMs);
  const auto again = ask(maker(), maker().token(good()));
  EXPECT_EQ(verdict.token_id, again.token_id);
  auto other = good();
  other.jti = "token-2";
  EXPECT_NE(verdict.token_id, ask(maker(), maker().token(other)).token_id);
}

TEST(AuthorityToken_OtherSpellings, Hold) {
  EXPECT_EQ(changed([](auto& s) { s.tktype = "TnAuthList"; }), "good");  // RFC 9447's example
  EXPECT_EQ(changed([](auto& s) { s.tkvalue = test::kTnAuthList; }), "good");
  EXPECT_EQ(changed([](auto& s) { s.fingerprint = base64url_encode(s.thumbprint); }), "good");
  EXPECT_EQ(changed([](auto& s) { s.ca = ""; }), "good");
  EXPECT_EQ(changed([](auto& s) { s.nbf_s = kAt / 1'000 + 30; }), "good");  // clocks differ
}

TEST(AuthorityToken_OtherIdentifierTypes, Hold) {
  auto spec = good();
  spec.tktype = "JWTClaimConstraints";
  spec.tkvalue = "MAmgBzAFFgNmb28";
  Question question;
  question.identifier = {wire::IdentifierType::kJwtClaimConstraints, "MAmgBzAFFgNmb28"};
  EXPECT_EQ(code(spec, question), "good");
  spec.tktype = "EnhancedJWTClaimConstraints";
  EXPECT_EQ(code(spec, question), "tkauth.type");
  question.identifier.type = wire::IdentifierType::kEnhancedJwtClaimConstraints;
  EXPECT_EQ(code(spec, question), "good");
}

TEST(AuthorityToken_X5c, NeedsTheRootAlone) {
  auto spec = good();
  spec.x5c = true;
  Question question;
  question.configured = false;
  question.hosts.clear();
  EXPECT_EQ(code(spec, question), "good");
}

TEST(AuthorityToken_X5u, IsAskedForAtTrustedHostsAlone) {
  Question question;
  question.configured = false;
  EXPECT_EQ(code(good(), question), "fetch https://authority.example/cert");
  question.fetched = to_bytes(maker().chain_pem());
  EXPECT_EQ(code(good(), question), "good");
  question.fetched = maker().leaf_der();
  EXPECT_EQ(code(good(), question), "good");
  question.hosts = {"other.example"};
  EXPECT_EQ(code(good(), question), "tkauth.x5u-untrusted");  // whatever was fetched
  question.hosts.clear();
  EXPECT_EQ(code(good(), question), "tkauth.x5u-untrusted");
}

TEST(AuthorityToken_X5uDisguised, IsUntrusted) {
  Question question;
  question.configured = false;
  for (const auto* url :
       {"http://authority.example/cert", "https://authority.example.evil/",
        "https://authority.example@evil/", "https://evil/?https://authority.example/",
        "https://evil#authority.example/", "https://authority.example:8443/",
        "https://authority.example\\@evil/", "https://authority.example /", "https://",
        "https:///authority.example", "file:///etc/passwd", "authority.example"}) {
    auto spec = good();
    spec.x5u = url;
    EXPECT_EQ(code(spec, question), "tkauth.x5u-untrusted") << url;
  }
  auto spec = good();
  spec.x5u = "https://AUTHORITY.example:8443/";
  question.hosts = {"authority.example:8443"};
  EXPECT_EQ(code(spec, question), "fetch " + spec.x5u);
}

TEST(AuthorityToken_Syntax, IsRefused) {
  const auto refused = [](const std::string& token) { return code_of(ask(maker(), token)); };
  const auto token = maker().token(good());
  EXPECT_EQ(refused(""), "tkauth.syntax");
  EXPECT_EQ(refused("a.b"), "tkauth.syntax");
  EXPECT_EQ(refused(token + "."), "tkauth.syntax");
  EXPECT_EQ(refused(token + "="), "tkauth.syntax");
  EXPECT_EQ(refused(token.substr(0, token.rfind('.') + 1)), "tkauth.syntax");
  const auto header = [](std::string text) {
    return changed([&](auto& s) { s.header = std::move(text); });
  };
  EXPECT_EQ(header("{"), "tkauth.syntax");
  EXPECT_EQ(header("[]"), "tkauth.syntax");
  EXPECT_EQ(header(R"({"x5u":"https://authority.example/cert"})"), "tkauth.syntax");
  EXPECT_EQ(header(R"({"alg":"ES256"})"), "tkauth.syntax");
  EXPECT_EQ(header(R"({"alg":"ES256","x5u":"u","x5c":["AA=="]})"), "tkauth.syntax");
  EXPECT_EQ(header(R"({"alg":"ES256","x5u":""})"), "tkauth.syntax");
  EXPECT_EQ(header(R"({"alg":"ES256","x5u":1})"), "tkauth.syntax");
  EXPECT_EQ(header(R"({"alg":"ES256","x5c":[]})"), "tkauth.syntax");
  EXPECT_EQ(header(R"({"alg":"ES256","x5c":["-"]})"), "tkauth.syntax");
  EXPECT_EQ(header(R"({"alg":"ES256","x5u":"u","crit":["x"]})"), "tkauth.syntax");
  EXPECT_EQ(header(R"({"alg":"ES256","x5u":"u","b64":false})"), "tkauth.syntax");
  EXPECT_EQ(header(R"({"alg":"ES256","x5u":"u","typ":"JOSE"})"), "tkauth.syntax");
}

TEST(AuthorityToken_Certificate, MustReachTheRoot) {
  EXPECT_EQ(with_chain({}), "good");
  EXPECT_EQ(with_chain({.expired = true}), "tkauth.certificate");
  EXPECT_EQ(with_chain({.other_root = true}), "tkauth.certificate");
  EXPECT_EQ(with_chain({.leaf_is_ca = true}), "tkauth.certificate");
  EXPECT_EQ(with_chain({.no_digital_signature = true}), "tkauth.certificate");
  Question question;
  question.configured = false;
  for (const auto* text : {"", "not a certificate", "-----BEGIN CERTIFICATE-----\n"}) {
    question.fetched = to_bytes(std::string_view(text));
    EXPECT_EQ(code(good(), question), "tkauth.certificate") << text;
  }
  question.fetched = Bytes(limits::kFetchedBytesMax + 1, 'x');
  EXPECT_EQ(code(good(), question), "tkauth.certificate");
  const AuthorityMaker stranger(kAt);  // a whole chain, of a root that is not configured
  question.fetched = to_bytes(stranger.chain_pem());
  EXPECT_EQ(code_of(ask(maker(), stranger.token(good()), question)), "tkauth.certificate");
}

TEST(AuthorityToken_NoRoots, IsNeverGood) {
  Question question;
  const auto token = maker().token(good());
  AuthorityPolicy policy;
  policy.certificates[std::string(test::kX5u)] = to_bytes(maker().chain_pem());
  const auto verdict =
      verify_authority_token({token, &question.identifier, filled(0x5a), {}}, policy, kAt);
  EXPECT_EQ(code_of(verdict), "tkauth.certificate");
}

TEST(AuthorityToken_Signature, MustBeTheCertificatesAndFitIt) {
  EXPECT_EQ(changed([](auto& s) { s.other_key = true; }), "tkauth.signature");
  EXPECT_EQ(changed([](auto& s) { s.other_payload = "{}"; }), "tkauth.signature");
  for (const auto* alg : {"none", "HS256", "RS256", "ES384", "ES512", "EdDSA", ""})
    EXPECT_EQ(changed([&](auto& s) { s.header_alg = alg; }), "tkauth.signature") << alg;
  const AuthorityMaker rsa(kAt, {.leaf_key = crypto::KeyKind::kRsa});
  auto spec = good();
  EXPECT_EQ(code_of(ask(rsa, rsa.token(spec))), "tkauth.signature");  // says ES256
  spec.header_alg = "RS256";
  EXPECT_EQ(code_of(ask(rsa, rsa.token(spec))), "good");
}

TEST(AuthorityToken_Claims, AreMandatory) {
  const auto claims = [](std::string text) {
    return changed([&](auto& s) { s.claims = std::move(text); });
  };
  const std::string atc =
      R"("atc":{"tktype":"TNAuthList","tkvalue":"MAigBhYENzA5Sg","fingerprint":"x"})";
  EXPECT_EQ(claims("{"), "tkauth.claims");
  EXPECT_EQ(claims("[]"), "tkauth.claims");
  EXPECT_EQ(claims(R"({"exp":1,)" + atc + "}"), "tkauth.claims");
  EXPECT_EQ(claims(R"({"jti":"","exp":1,)" + atc + "}"), "tkauth.claims");
  EXPECT_EQ(claims(R"({"jti":1,"exp":1,)" + atc + "}"), "tkauth.claims");
  EXPECT_EQ(claims(R"({"jti":")" + std::string(257, 'a') + R"(","exp":1,)" + atc + "}"),
            "tkauth.claims");
  EXPECT_EQ(claims(R"({"jti":"a",)" + atc + "}"), "tkauth.claims");
  EXPECT_EQ(claims(R"({"jti":"a","exp":"1",)" + atc + "}"), "tkauth.claims");
  EXPECT_EQ(claims(R"({"jti":"a","exp":-1,)" + atc + "}"), "tkauth.claims");
  EXPECT_EQ(claims(R"({"jti":"a","exp":253402300800,)" + atc + "}"), "tkauth.claims");
  EXPECT_EQ(claims(R"({"jti":"a","exp":1,"nbf":"x",)" + atc + "}"), "tkauth.claims");
  EXPECT_EQ(claims(R"({"jti":"a","exp":1})"), "tkauth.claims");
  EXPECT_EQ(claims(R"({"jti":"a","exp":1,"atc":[]})"), "tkauth.claims");
  EXPECT_EQ(claims(R"({"jti":"a","exp":1,"atc":{"tktype":"a","tkvalue":"b"}})"), "tkauth.claims");
  EXPECT_EQ(changed([](auto& s) { s.ca = "\"true\""; }), "tkauth.claims");
  // Whole, and then refused for what they say.
  EXPECT_EQ(claims(R"({"jti":"a","exp":1,)" + atc + "}"), "tkauth.expired");
}

TEST(AuthorityToken_Type, MustBeTheIdentifiers) {
  EXPECT_EQ(changed([](auto& s) { s.tktype = "JWTClaimConstraints"; }), "tkauth.type");
  EXPECT_EQ(changed([](auto& s) { s.tktype = ""; }), "tkauth.type");
}

TEST(AuthorityToken_Value, MustBeTheIdentifiers) {
  EXPECT_EQ(changed([](auto& s) { s.tkvalue = "MAigBhYENzA5Sw"; }), "tkauth.value");
  EXPECT_EQ(changed([](auto& s) { s.tkvalue = ""; }), "tkauth.value");
  EXPECT_EQ(changed([](auto& s) { s.tkvalue += "="; }), "tkauth.value");
  Question nothing;
  nothing.identifier.value.clear();
  auto spec = good();
  spec.tkvalue.clear();
  EXPECT_EQ(code(spec, nothing), "tkauth.value");  // nothing equals nothing: refused
}

TEST(AuthorityToken_Time, MustBeNow) {
  EXPECT_EQ(changed([](auto& s) { s.exp_s = kAt / 1'000 + 1; }), "good");
  EXPECT_EQ(changed([](auto& s) { s.exp_s = kAt / 1'000; }), "tkauth.expired");
  EXPECT_EQ(changed([](auto& s) { s.nbf_s = kAt / 1'000 + 61; }), "tkauth.not-yet");
}

TEST(AuthorityToken_Fingerprint, MustBeTheAccountsKeys) {
  const auto fingerprint = [](std::string text) {
    return changed([&](auto& s) { s.fingerprint = std::move(text); });
  };
  const auto right = test::fingerprint_text(filled(0x5a));
  EXPECT_EQ(fingerprint(right), "good");
  EXPECT_EQ(fingerprint(test::fingerprint_text(filled(0x5b))), "tkauth.fingerprint");
  EXPECT_EQ(fingerprint(base64url_encode(filled(0x5b))), "tkauth.fingerprint");
  EXPECT_EQ(fingerprint(""), "tkauth.fingerprint");
  EXPECT_EQ(fingerprint("SHA256 "), "tkauth.fingerprint");
  EXPECT_EQ(fingerprint(right.substr(0, right.size() - 3)), "tkauth.fingerprint");
  EXPECT_EQ(fingerprint(right + ":5A"), "tkauth.fingerprint");
  EXPECT_EQ(fingerprint("SHA1 " + right.substr(7)), "tkauth.fingerprint");
  auto dashes = right;
  std::replace(dashes.begin(), dashes.end(), ':', '-');
  EXPECT_EQ(fingerprint(dashes), "tkauth.fingerprint");
  // RFC 9447's own example of the form; the digest is another.
  EXPECT_TRUE(fingerprint_is("SHA256 " + right.substr(7), filled(0x5a)));
}

TEST(AuthorityMutation, EachOctetOfTheToken_IsRefused) {
  for (const bool x5c : {false, true}) {
    auto spec = good();
    spec.x5c = x5c;
    const auto token = maker().token(spec);
    for (std::size_t at = 0; at < token.size(); ++at) {
      auto bad = token;
      bad[at] = static_cast<char>(bad[at] ^ 1);
      const auto code = code_of(ask(maker(), bad));
      // Another file of a trusted host is asked for, and then judged like this one.
      EXPECT_TRUE(code.starts_with("tkauth.") || code.starts_with("fetch ")) << at << " " << code;
    }
  }
}

TEST(AuthorityMutation, EachOctetOfTheFetchedChain_IsRefused) {
  Question question;
  question.configured = false;
  const auto token = maker().token(good());
  const auto leaf = maker().leaf_der();
  for (std::size_t at = 0; at < leaf.size(); ++at) {
    question.fetched = leaf;
    question.fetched->at(at) ^= 1;
    EXPECT_EQ(code_of(ask(maker(), token, question)), "tkauth.certificate") << at;
  }
}

TEST(AuthorityToken_ForACa, IsRefused) {
  EXPECT_EQ(changed([](auto& s) { s.ca = "true"; }), "tkauth.ca");
}

// Everything made by the openssl program: root, leaf, and the ES256 signature.
TEST(AuthorityToken_OfAnotherImplementation, Holds) {
  const std::string root =
      "-----BEGIN CERTIFICATE-----\n"
      "MIIBkTCCATegAwIBAgIUOo7CFWMH036apnbxzuhDpsOuZXowCgYIKoZIzj0EAwIw\n"
      "FjEUMBIGA1UEAwwLVmVjdG9yIHJvb3QwHhcNMjYxMTIyMTkwMjU0WhcNMzYxMTE5\n"
      "MTkwMjU0WjAWMRQwEgYDVQQDDAtWZWN0b3Igcm9vdDBZMBMGByqGSM49AgEGCCqG\n"
      "SM49AwEHA0IABHT+NadYtd4b4jmmzgG7pzeSG+lu1U1Pl/AFCdF/802aDj4RzdpJ\n"
      "gluofaOdFymi0u3FuATjLW+7pLBaTwDf5vajYzBhMB0GA1UdDgQWBBR3UKZhZzkQ\n"
      "q0lCU1FYAvRZ2Mz7TzAfBgNVHSMEGDAWgBR3UKZhZzkQq0lCU1FYAvRZ2Mz7TzAP\n"
      "BgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwICBDAKBggqhkjOPQQDAgNIADBF\n"
      "AiAoxjy0KmVAMFbmHbyPtRjrndUmWoPa1aNMNE+pZwA74wIhAMXeCo0LyImOYlfa\n"
      "N56ow5C0eR7fg3LMafWsInpmCAhz\n"
      "-----END CERTIFICATE-----\n";
  const std::string token =
      "eyJ0eXAiOiAiSldUIiwgImFsZyI6ICJFUzI1NiIsICJ4NWMiOiBbIk1JSUJrekNDQVRtZ0F3SUJBZ0lVSi94MWJK"
      "akxHZ2k2NUFaYWNiYWRtOFgyc2w4d0NnWUlLb1pJemowRUF3SXdGakVVTUJJR0ExVUVBd3dMVm1WamRHOXlJSEp2"
      "YjNRd0hoY05Nall4TVRJeU1Ua3dNalUwV2hjTk16WXhNVEU1TVRrd01qVTBXakFiTVJrd0Z3WURWUVFEREJCV1pX"
      "TjBiM0lnWVhWMGFHOXlhWFI1TUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFUFJKcXJ3TFFCblVq"
      "MkxDN290ZXZGcnRRM21LVGtsVkJ3M1NMSlg1aEVHMDZqWkJoR2JHWWNBZ3NQMG9EUVdIZkswaXptVE55N29yek1X"
      "TGF3QlRtaEtOZ01GNHdEQVlEVlIwVEFRSC9CQUl3QURBT0JnTlZIUThCQWY4RUJBTUNCNEF3SFFZRFZSME9CQllF"
      "RkprWGxMZ20yRDlzL3ltZVRBRW8xZ2ZPQXZiN01COEdBMVVkSXdRWU1CYUFGSGRRcG1Gbk9SQ3JTVUpUVVZnQzlG"
      "bll6UHRQTUFvR0NDcUdTTTQ5QkFNQ0EwZ0FNRVVDSVFESC9LaU91OG9ERVZBeTlRU1ZRNVliREJWbDRFZXlRODZF"
      "ZURsdGNPekVTZ0lnSndhNFQ1cUJFQ2ZXZFhEaGplTWxCWW9IV1BBeWZiaVVyR090YmtRZ0YvVT0iXX0.eyJleHAi"
      "OiAxNzk1MzgxMzc1LCAianRpIjogInYxIiwgImF0YyI6IHsidGt0eXBlIjogIlRuQXV0aExpc3QiLCAidGt2YWx1"
      "ZSI6ICJNQWlnQmhZRU56QTVTZz09IiwgImZpbmdlcnByaW50IjogIlNIQTI1NiA1QTo1QTo1QTo1QTo1QTo1QTo1"
      "QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1QTo1"
      "QTo1QTo1QTo1QSIsICJjYSI6IGZhbHNlfX0.A5f6bFemlyYi10Thcm9wLEHGz3bJnwttMc1zuHOSte65Yx5zVifm"
      "4Y4xNWz5umL-kZymYnTceYmFbQwmrPtzhw";
  AuthorityPolicy policy;
  const auto ders = x509::certificates_from_pem(root, 1);
  ASSERT_TRUE(ders);
  policy.roots.push_back(*x509::parse_certificate(ders->front()));
  Question question;
  const auto verdict = verify_authority_token(
      {token, &question.identifier, filled(0x5a), std::nullopt}, policy, 1'795'377'775'000);
  EXPECT_EQ(code_of(verdict), "good") << (verdict.refusal ? verdict.refusal->detail : "");
}

TEST(AuthorityFiles_Entries, AreUrlAndPath) {
  EXPECT_FALSE(load_authority_files({"/path"}));
  EXPECT_FALSE(load_authority_files({"http://a.example=/dev/null"}));
  EXPECT_FALSE(load_authority_files({"https://a.example=/does/not/exist"}));
  const auto loaded = load_authority_files({"https://a.example/?a=b=/dev/null"});
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(loaded->contains("https://a.example/?a=b"));
}

class SpentTokensTest : public ::testing::Test {
 protected:
  SpentTokensTest() {
    auto name = (std::filesystem::temp_directory_path() / "keyward-spent-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ::abort();
    directory_ = name;
    open(kAt);
  }
  ~SpentTokensTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  void open(std::int64_t now_ms) {
    auto opened = SpentTokens::open(path(), now_ms);
    ASSERT_TRUE(opened);
    spent_ = std::move(*opened);
  }
  std::string path() const { return directory_ + "/spent"; }
  std::string spend(std::uint8_t id, std::uint8_t use) {
    const auto done = spent_->spend(filled(id), filled(use), kAt + kHourMs, kAt);
    return done ? "good" : done.error().what;
  }
  std::string directory_;
  std::unique_ptr<SpentTokens> spent_;
};

TEST_F(SpentTokensTest, SecondUse_IsAReplay_TheSameUseIsNot) {
  EXPECT_EQ(spend(1, 1), "good");
  EXPECT_EQ(spend(1, 1), "good");
  EXPECT_EQ(spend(1, 2), "tkauth.replayed");
  EXPECT_EQ(spend(2, 2), "good");
}

TEST_F(SpentTokensTest, Restart_RemembersUntilExpiry) {
  EXPECT_EQ(spend(1, 1), "good");
  EXPECT_EQ(spend(2, 1), "good");
  open(kAt);
  EXPECT_EQ(spend(1, 2), "tkauth.replayed");
  open(kAt + kHourMs);
  EXPECT_EQ(read_text_file(path(), 1'000)->size(), 0u);
  EXPECT_EQ(spend(1, 2), "good");
}

TEST_F(SpentTokensTest, TornLine_IsCut) {
  EXPECT_EQ(spend(1, 1), "good");
  const auto whole = *read_text_file(path(), 1'000);
  ASSERT_TRUE(replace_file(path(), view_of(whole + whole.substr(0, 100)), 0600));
  open(kAt);
  EXPECT_EQ(*read_text_file(path(), 1'000), whole);
  EXPECT_EQ(spend(1, 2), "tkauth.replayed");
}

}  // namespace
}  // namespace keyward::attest
