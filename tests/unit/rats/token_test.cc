// Proves the signed carriers, COSE_Sign1 and JWS: every algorithm verifies, and each refusal is
// reached by its code.
#include <gtest/gtest.h>

#include "firmware/json/json.h"
#include "firmware/rats/cose.h"
#include "firmware/rats/jwt.h"
#include "tests/support/rats/rats.h"

namespace keyward::rats {
namespace {

namespace cb = test::cb;
using crypto::KeyKind;
using crypto::PrivateKey;

const PrivateKey& key(KeyKind kind = KeyKind::kEcP256) {
  static std::map<KeyKind, PrivateKey> made;
  const auto found = made.find(kind);
  if (found != made.end()) return found->second;
  return made.emplace(kind, test::must_have(PrivateKey::generate(kind))).first->second;
}

TrustAnchors anchors(KeyKind kind = KeyKind::kEcP256) {
  return {{{"v", key(kind).public_key()}}, {}, test::kRatsAtMs};
}

template <class T>
std::string code_of(const Appraised<T>& result) {
  return result ? "good" : result.error().code;
}

constexpr std::array<std::pair<const char*, KeyKind>, 10> kAlgorithms{{{"ES256", KeyKind::kEcP256},
                                                                       {"ES384", KeyKind::kEcP384},
                                                                       {"ES512", KeyKind::kEcP521},
                                                                       {"EdDSA", KeyKind::kEd25519},
                                                                       {"PS256", KeyKind::kRsa},
                                                                       {"PS384", KeyKind::kRsa},
                                                                       {"PS512", KeyKind::kRsa},
                                                                       {"RS256", KeyKind::kRsa},
                                                                       {"RS384", KeyKind::kRsa},
                                                                       {"RS512", KeyKind::kRsa}}};

TEST(Tokens, EveryAlgorithm_VerifiesInBothForms) {
  for (const auto& [name, kind] : kAlgorithms) {
    const auto* algorithm = algorithm_from_jose(name);
    ASSERT_NE(algorithm, nullptr) << name;
    EXPECT_EQ(algorithm_from_cose(algorithm->cose), algorithm);
    const auto jws =
        test::must_have(make_compact(key(kind), "{}", {.kid = "v", .algorithm = algorithm}));
    EXPECT_EQ(code_of(verify_compact(jws, anchors(kind))), "good") << name;
    const auto cose =
        test::must_have(make_sign1(key(kind), Bytes{1}, {.kid = "v", .algorithm = algorithm}));
    EXPECT_EQ(code_of(verify_sign1(cose, anchors(kind))), "good") << name;
  }
  for (const char* name : {"none", "HS256", "es256", "ES256K", "RS1", ""})
    EXPECT_EQ(algorithm_from_jose(name), nullptr) << name;
  for (const std::int64_t number : {0, 5, -47, -65535})
    EXPECT_EQ(algorithm_from_cose(number), nullptr);
}

TEST(Tokens, CwtTag_IsOptional) {
  const auto tagged = test::must_have(make_sign1(key(), Bytes{1}, {.cwt_tag = true}));
  EXPECT_EQ(code_of(verify_sign1(tagged, anchors())), "good");
  const Bytes untagged(tagged.begin() + 3, tagged.end());
  EXPECT_EQ(code_of(verify_sign1(untagged, anchors())), "good");
  Bytes cwt_alone{0xd8, 0x3d};
  append(cwt_alone, untagged);
  EXPECT_EQ(code_of(verify_sign1(cwt_alone, anchors())), "cose.malformed");
}

TEST(CoseKey, EveryKind_ThereAndBack) {
  for (const auto kind :
       {KeyKind::kEcP256, KeyKind::kEcP384, KeyKind::kEcP521, KeyKind::kEd25519, KeyKind::kRsa}) {
    const auto encoded = cose_key_from(key(kind).public_key());
    const auto read = key_from_cose(test::must_have(parse_cbor(encoded)));
    ASSERT_TRUE(read) << static_cast<int>(kind);
    EXPECT_EQ(read->spki_sha256(), key(kind).public_key().spki_sha256());
  }
}

TEST(CoseKey, PrivateOrIncomplete_IsRefused) {
  const Bytes x(32, 1);
  const auto read = [](const Bytes& bytes) {
    return key_from_cose(test::must_have(parse_cbor(bytes))).has_value();
  };
  EXPECT_FALSE(read(cb::map({})));
  EXPECT_FALSE(read(cb::map({{cb::integer(1), cb::integer(4)}})));  // symmetric
  EXPECT_FALSE(read(cb::map({{cb::integer(1), cb::integer(2)},
                             {cb::integer(-1), cb::integer(1)},
                             {cb::integer(-2), cb::bytes(x)},
                             {cb::integer(-3), cb::boolean(true)}})));  // compressed
  auto good = test::must_have(parse_cbor(cose_key_from(key().public_key())));
  good.keys.push_back({false, -4, ""});
  good.items.push_back(test::must_have(parse_cbor(cb::bytes(x))));
  EXPECT_FALSE(key_from_cose(good));
}

// A Sign1 whose parts are given, signed over what it says.
struct Sign1Parts {
  Bytes in_protected = cb::map({{cb::integer(1), cb::integer(-7)}});
  Bytes in_unprotected = cb::map({});
  Bytes payload = {1};
  bool detached = false;
};
Bytes sign1(const Sign1Parts& parts) {
  const auto to_sign = cb::array({cb::text("Signature1"), cb::bytes(parts.in_protected),
                                  cb::bytes({}), cb::bytes(parts.payload)});
  const auto signature = test::must_have(
      key().sign(crypto::SignatureScheme::kEcdsaRaw, crypto::HashAlgorithm::kSha256, to_sign));
  return cb::tag(18, cb::array({cb::bytes(parts.in_protected), parts.in_unprotected,
                                parts.detached ? Bytes{0xf6} : cb::bytes(parts.payload),
                                cb::bytes(signature)}));
}

std::string cose_code(Sign1Parts parts) { return code_of(verify_sign1(sign1(parts), anchors())); }

TEST(CoseRefusal, IsReachedExactly) {
  const auto alg = std::pair(cb::integer(1), cb::integer(-7));
  EXPECT_EQ(cose_code({}), "good");
  EXPECT_EQ(code_of(verify_sign1(Bytes{}, anchors())), "cose.malformed");
  EXPECT_EQ(code_of(verify_sign1(cb::array({}), anchors())), "cose.malformed");
  Sign1Parts parts;
  parts.in_protected = {0x80};
  EXPECT_EQ(cose_code(parts), "cose.malformed");
  parts.in_protected = cb::map({alg, {cb::integer(2), cb::array({cb::integer(1)})}});
  EXPECT_EQ(cose_code(parts), "cose.crit");
  parts.in_protected = cb::map({});
  EXPECT_EQ(cose_code(parts), "cose.alg");
  parts.in_unprotected = cb::map({alg});
  EXPECT_EQ(cose_code(parts), "cose.header");
  parts = {};
  parts.in_protected = cb::map({{cb::integer(1), cb::integer(5)}});  // HMAC
  EXPECT_EQ(cose_code(parts), "cose.alg");
  parts.in_protected = cb::map({{cb::integer(1), cb::text("ES256")}});
  EXPECT_EQ(cose_code(parts), "cose.alg");
  parts.in_protected = cb::map({alg, {cb::integer(4), cb::text("v")}});
  EXPECT_EQ(cose_code(parts), "cose.header");
  parts.in_protected = cb::map({alg, {cb::integer(3), cb::boolean(true)}});
  EXPECT_EQ(cose_code(parts), "cose.header");
  parts.in_protected = cb::map({alg, {cb::integer(33), cb::array({})}});
  EXPECT_EQ(cose_code(parts), "cose.header");
  parts.in_protected = cb::map({alg, {cb::integer(4), cb::bytes(Bytes{'v'})}});
  parts.in_unprotected = cb::map({{cb::integer(4), cb::bytes(Bytes{'v'})}});
  EXPECT_EQ(cose_code(parts), "cose.header");
  parts = {};
  parts.detached = true;
  EXPECT_EQ(cose_code(parts), "cose.payload");
  parts = {};
  parts.in_unprotected = cb::map({{cb::integer(4), cb::bytes(Bytes{'w'})}});
  EXPECT_EQ(cose_code(parts), "trust.key");
  auto changed = sign1({});
  changed.back() ^= 1;
  EXPECT_EQ(code_of(verify_sign1(changed, anchors())), "cose.signature");
  EXPECT_EQ(code_of(verify_sign1(sign1({}), TrustAnchors{})), "trust.key");
}

// ---- JWS

std::string jws(std::string_view header, std::string_view payload = "{}") {
  const auto text = base64url_encode(view_of(header)) + "." + base64url_encode(view_of(payload));
  return text + "." +
         base64url_encode(test::must_have(key().sign(
             crypto::SignatureScheme::kEcdsaRaw, crypto::HashAlgorithm::kSha256, view_of(text))));
}

std::string jws_code(std::string_view header) {
  return code_of(verify_compact(jws(header), anchors()));
}

TEST(JwsRefusal, IsReachedExactly) {
  EXPECT_EQ(jws_code(R"({"alg":"ES256"})"), "good");
  EXPECT_EQ(jws_code(R"({"alg":"ES256","kid":"v"})"), "good");
  EXPECT_EQ(code_of(verify_compact("a.b", anchors())), "jws.malformed");
  EXPECT_EQ(code_of(verify_compact("a.b.c.d", anchors())), "jws.malformed");
  EXPECT_EQ(code_of(verify_compact("e30.e30.", anchors())), "jws.malformed");
  EXPECT_EQ(jws_code("[]"), "jws.malformed");
  EXPECT_EQ(jws_code(R"({"alg":"ES256","alg":"ES256"})"), "jws.malformed");
  EXPECT_EQ(jws_code(R"({"alg":"ES256","crit":["x"]})"), "jws.crit");
  EXPECT_EQ(jws_code(R"({"alg":"ES256","b64":false})"), "jws.crit");
  EXPECT_EQ(jws_code("{}"), "jws.alg");
  EXPECT_EQ(jws_code(R"({"alg":"none"})"), "jws.alg");
  EXPECT_EQ(jws_code(R"({"alg":"HS256"})"), "jws.alg");
  EXPECT_EQ(jws_code(R"({"alg":"ES256","kid":1})"), "jws.header");
  EXPECT_EQ(jws_code(R"({"alg":"ES256","typ":1})"), "jws.header");
  EXPECT_EQ(jws_code(R"({"alg":"ES256","x5c":[]})"), "jws.header");
  EXPECT_EQ(jws_code(R"({"alg":"ES256","x5c":["_-"]})"), "jws.header");
  EXPECT_EQ(jws_code(R"({"alg":"ES256","kid":"w"})"), "trust.key");
  EXPECT_EQ(jws_code(R"({"alg":"ES384"})"), "trust.key");
  auto changed = jws(R"({"alg":"ES256"})");
  changed[changed.find('.') + 1] ^= 1;
  EXPECT_EQ(code_of(verify_compact(changed, anchors())), "jws.signature");
  EXPECT_EQ(code_of(verify_flattened("{}", anchors())), "jws.malformed");
}

TEST(Tokens, HeadersOwnKey_IsNeverUsed) {
  const auto stranger = test::must_have(PrivateKey::generate(KeyKind::kEcP256));
  const auto token = test::must_have(make_compact(stranger, "{}", {.kid = "v"}));
  EXPECT_EQ(code_of(verify_compact(token, anchors())), "jws.signature");
}

// ---- certificates that come along

TEST(Chains, ToAConfiguredRoot_TheLeafsKeyVerifies) {
  const test::RatsAuthority authority;
  const auto leaf = authority.issue(key().public_key());
  const TrustAnchors roots{{}, {authority.root()}, test::kRatsAtMs};
  const auto token = test::must_have(make_compact(key(), "{}", {.x5c = {leaf}}));
  const auto verified = verify_compact(token, roots);
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_TRUE(verified->signer.certificate);
  const auto cose = test::must_have(make_sign1(key(), Bytes{1}, {.x5chain = {leaf}}));
  EXPECT_EQ(code_of(verify_sign1(cose, roots)), "good");
  const auto by_key = verify_sign1(cose, anchors());
  ASSERT_TRUE(by_key) << "its key is trusted itself";
  EXPECT_FALSE(by_key->signer.certificate) << "no root vouches for its names";
}

TEST(Chains, Refusal_IsReachedExactly) {
  const test::RatsAuthority authority, other("Another root");
  const TrustAnchors roots{{}, {authority.root()}, test::kRatsAtMs};
  const auto code = [&](const Bytes& leaf, const TrustAnchors& to) {
    return code_of(verify_compact(test::must_have(make_compact(key(), "{}", {.x5c = {leaf}})), to));
  };
  const auto& mine = key().public_key();
  test::CertificateSpec spec;
  EXPECT_EQ(code(authority.issue(mine), TrustAnchors{}), "trust.certificate");
  EXPECT_EQ(code(other.issue(mine), roots), "trust.certificate");
  EXPECT_EQ(code(Bytes{0x30, 0}, roots), "trust.certificate");
  spec.expired = true;
  EXPECT_EQ(code(authority.issue(mine, spec), roots), "trust.certificate");
  spec = {};
  spec.digital_signature = false;
  EXPECT_EQ(code(authority.issue(mine, spec), roots), "trust.certificate");
  spec = {};
  spec.is_ca = true;
  EXPECT_EQ(code(authority.issue(mine, spec), roots), "trust.certificate");
  const auto stranger = test::must_have(PrivateKey::generate(KeyKind::kEcP256));
  EXPECT_EQ(code(authority.issue(stranger.public_key()), roots), "jws.signature");
}

}  // namespace
}  // namespace keyward::rats
