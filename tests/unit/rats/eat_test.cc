// Proves the reading of entity attestation tokens: every claim in both encodings, and every claim
// wrong in turn, refused for itself.
#include "firmware/rats/eat.h"

#include <gtest/gtest.h>

#include "firmware/jose/jwk.h"
#include "tests/support/rats/rats.h"

namespace keyward::rats {
namespace {

namespace cb = test::cb;
using crypto::KeyKind;
using crypto::PrivateKey;

const PrivateKey& key() {
  static const auto* const made = new auto(test::must_have(PrivateKey::generate(KeyKind::kEcP256)));
  return *made;
}
const PrivateKey& device_key() {
  static const auto* const made = new auto(test::must_have(PrivateKey::generate(KeyKind::kEcP256)));
  return *made;
}

TrustAnchors anchors() { return {{{"v", key().public_key()}}, {}, test::kRatsAtMs}; }

template <class T>
std::string code_of(const Appraised<T>& result) {
  return result ? "good" : result.error().code;
}

std::string jwt(std::string_view claims, std::string typ = "JWT") {
  return test::must_have(make_compact(key(), claims, {.kid = "v", .typ = std::move(typ)}));
}
Bytes cwt(const Bytes& claims, std::string content_type = "") {
  return test::must_have(
      make_sign1(key(), claims, {.kid = "v", .content_type = std::move(content_type)}));
}

// Name and value of every claim, good ones.
std::vector<std::pair<std::string, std::string>> good_claims() {
  const auto seconds = [](std::int64_t delta) { return std::to_string(test::kRatsAtS + delta); };
  const auto jwk =
      test::must_have(jose::Jwk::from_public_key(device_key().public_key())).canonical();
  return {{"iss", R"("verifier")"},
          {"sub", R"("device")"},
          {"aud", R"(["a","b"])"},
          {"exp", seconds(600)},
          {"nbf", seconds(-10)},
          {"iat", seconds(-10)},
          {"jti", R"("1")"},
          {"cnf", R"({"jwk":)" + jwk + "}"},
          {"eat_nonce", R"("yoW1RL2zPBzYEHBQ06Jy")"},
          {"ueid", R"("AQEBAQEBAQ")"},
          {"sueids", R"({"eu.example.x":"AQEBAQEBAQ"})"},
          {"oemid", R"("AQID")"},
          {"hwmodel", R"("AQ")"},
          {"hwversion", R"(["1.2",1])"},
          {"uptime", "5"},
          {"oemboot", "true"},
          {"dbgstat", R"("disabled-permanently")"},
          {"location", R"({"latitude":1.5,"longitude":2.5})"},
          {"eat_profile", R"("tag:a,2024:p")"},
          {"bootcount", "3"},
          {"bootseed", "\"" + std::string(43, 'A') + "\""},
          {"dloas", R"([["https://a","p"]])"},
          {"swname", R"("fw")"},
          {"swversion", R"(["7.4.0","multipartnumeric"])"},
          {"manifests", R"([[1,"AQ"]])"},
          {"measurements", R"([["application/x","AQ"]])"},
          {"measres", R"([["sys",[["a","success"],["b","absent"]]]])"},
          {"intuse", R"("csr")"},
          {"submods", R"({"tee":{"swname":"tee","dbgstat":"disabled"}})"},
          {"x_unknown", "1.5"}};
}

std::string set_of(const std::vector<std::pair<std::string, std::string>>& claims) {
  std::string out = "{";
  for (const auto& [name, value] : claims)
    out += (out.size() > 1 ? ",\"" : "\"") + name + "\":" + value;
  return out + "}";
}

std::string with(const std::string& name, const std::string& value) {
  auto claims = good_claims();
  for (auto& claim : claims) {
    if (claim.first == name) claim.second = value;
  }
  return set_of(claims);
}

TEST(Eat, Jwt_EveryClaimIsRead) {
  const auto eat = verify_eat_jwt(jwt(set_of(good_claims())), anchors());
  ASSERT_TRUE(eat) << eat.error().code << " " << eat.error().detail;
  const auto& c = eat->claims;
  EXPECT_EQ(text_of(c.nonces.at(0)), "yoW1RL2zPBzYEHBQ06Jy");
  EXPECT_EQ(c.ueid->size(), 7u);
  EXPECT_EQ(c.oemid, "010203");
  EXPECT_EQ(c.hwversion->version, "1.2");
  EXPECT_EQ(c.dbgstat, DebugStatus::kDisabledPermanently);
  EXPECT_TRUE(c.has_location);
  EXPECT_EQ(c.profile, "tag:a,2024:p");
  EXPECT_EQ(c.swversion->scheme, "multipartnumeric");
  EXPECT_EQ(c.measres.at(0).items.at(1).result, MeasurementResult::kAbsent);
  EXPECT_EQ(c.manifests.at(0).content_type, "1");
  EXPECT_EQ(c.cnf->spki_sha256(), device_key().public_key().spki_sha256());
  EXPECT_EQ(c.submods.at(0).claims.swname, "tee");
  EXPECT_FALSE(c.submods.at(0).is_token);
  EXPECT_EQ(c.unknown, std::vector<std::string>{"x_unknown"});
  EXPECT_EQ(eat->signer->key.spki_sha256(), key().public_key().spki_sha256());
}

std::vector<std::pair<Bytes, Bytes>> good_cbor() {
  const Bytes nonce(32, 7), ueid(7, 1), seed(32, 2);
  return {{cb::integer(1), cb::text("verifier")},
          {cb::integer(6), cb::integer(test::kRatsAtS)},
          {cb::integer(7), cb::bytes(ueid)},
          {cb::integer(8), cb::map({{cb::integer(1), cose_key_from(device_key().public_key())}})},
          {cb::integer(10), cb::bytes(nonce)},
          {cb::integer(256), cb::bytes(ueid)},
          {cb::integer(258), cb::integer(99)},
          {cb::integer(259), cb::bytes(ueid)},
          {cb::integer(262), cb::boolean(true)},
          {cb::integer(263), cb::integer(4)},
          {cb::integer(265), cb::bytes(Bytes{0x2a, 0x03})},
          {cb::integer(266),
           cb::map({{cb::text("s"), cb::map({{cb::integer(270), cb::text("sub")}})}})},
          {cb::integer(268), cb::bytes(seed)},
          {cb::integer(270), cb::text("fw")},
          {cb::integer(271), cb::array({cb::text("1.0"), cb::integer(1)})},
          {cb::integer(274),
           cb::array({cb::array(
               {cb::text("s"), cb::array({cb::array({cb::bytes(ueid), cb::integer(2)})})})})},
          {cb::integer(275), cb::integer(4)},
          {cb::integer(-70000), cb::tag(111, cb::bytes(ueid))}};
}

TEST(Eat, Cwt_EveryClaimIsRead) {
  const auto eat = verify_eat_cwt(cwt(cb::map(good_cbor()), "application/eat+cwt"), anchors());
  ASSERT_TRUE(eat) << eat.error().code << " " << eat.error().detail;
  const auto& c = eat->claims;
  EXPECT_EQ(c.nonces.at(0), Bytes(32, 7));
  EXPECT_EQ(c.oemid, "99");
  EXPECT_EQ(c.dbgstat, DebugStatus::kDisabledFullyAndPermanently);
  EXPECT_EQ(c.profile, "1.2.3");
  EXPECT_EQ(c.cnf->spki_sha256(), device_key().public_key().spki_sha256());
  EXPECT_EQ(c.measres.at(0).items.at(0).result, MeasurementResult::kFail);
  EXPECT_EQ(c.intuse, 4);
  EXPECT_EQ(c.submods.at(0).claims.swname, "sub");
  EXPECT_EQ(c.unknown, std::vector<std::string>{"-70000"});
}

struct Wrong {
  const char* claim;
  std::string value;
  const char* code;
};

std::vector<Wrong> wrong_claims() {
  const auto seconds = [](std::int64_t delta) { return std::to_string(test::kRatsAtS + delta); };
  return {{"iss", "1", "eat.registered"},
          {"sub", R"("")", "eat.registered"},
          {"aud", "[1]", "eat.registered"},
          {"jti", "1", "eat.registered"},
          {"exp", seconds(-61), "eat.expired"},
          {"exp", "1.5", "eat.time"},
          {"iat", "-1", "eat.time"},
          {"iat", R"("1")", "eat.time"},
          {"iat", "999999999999", "eat.time"},
          {"iat", seconds(61), "eat.not-yet"},
          {"nbf", seconds(61), "eat.not-yet"},
          {"cnf", R"({"kid":"x"})", "eat.cnf"},
          {"cnf", R"({"jwk":{"kty":"oct","k":"AA"}})", "eat.cnf"},
          {"eat_nonce", R"("short")", "eat.nonce"},
          {"eat_nonce", "\"" + std::string(89, 'a') + "\"", "eat.nonce"},
          {"eat_nonce", R"(["yoW1RL2zPBzYEHBQ06Jy"])", "eat.nonce"},
          {"eat_nonce", "1", "eat.nonce"},
          {"ueid", R"("AQEBAQEB")", "eat.ueid"},
          {"ueid", "\"" + std::string(46, 'A') + "\"", "eat.ueid"},
          {"sueids", "{}", "eat.sueids"},
          {"sueids", R"({"a":"AQ"})", "eat.sueids"},
          {"oemid", R"("AQIDBA")", "eat.oemid"},
          {"oemid", "-1", "eat.oemid"},
          {"hwmodel", R"("")", "eat.hwmodel"},
          {"hwversion", R"("1.2")", "eat.hwversion"},
          {"uptime", "-1", "eat.uptime"},
          {"oemboot", "1", "eat.oemboot"},
          {"dbgstat", "3", "eat.dbgstat"},
          {"dbgstat", R"("off")", "eat.dbgstat"},
          {"location", "[]", "eat.location"},
          {"eat_profile", "1", "eat.profile"},
          {"bootcount", R"("1")", "eat.bootcount"},
          {"bootseed", R"("AQ")", "eat.bootseed"},
          {"dloas", R"([["a"]])", "eat.dloas"},
          {"swname", "1", "eat.swname"},
          {"swversion", "[]", "eat.swversion"},
          {"manifests", R"([["AQ"]])", "eat.manifests"},
          {"measurements", "[]", "eat.measurements"},
          {"measres", R"([["sys",[["a","maybe"]]]])", "eat.measres"},
          {"intuse", R"("other")", "eat.intuse"},
          {"submods", "{}", "eat.submods"},
          {"submods", R"({"a":1})", "eat.submods"},
          {"submods", R"({"a":["DIGEST","x"]})", "eat.submods"},
          {"submods", R"({"a":["JWT","a.b.c"]})", "jws.malformed"},
          {"submods", R"({"a":{"dbgstat":9}})", "eat.dbgstat"},
          {"submods",
           R"({"a":{"submods":{"a":{"submods":{"a":{"submods":{"a":{"submods":{"a":{}}}}}}}}}})",
           "eat.submod-depth"}};
}

// Each claim of a good token changed in turn: refused, and for that claim.
TEST(EatMutation, EachClaim_IsRefusedForItself) {
  for (const auto& wrong : wrong_claims())
    EXPECT_EQ(code_of(verify_eat_jwt(jwt(with(wrong.claim, wrong.value)), anchors())), wrong.code)
        << wrong.claim << " " << wrong.value;
}

TEST(EatMutation, EachCborClaimOfAnotherType_IsRefused) {
  const auto good = good_cbor();
  const char* const codes[] = {"eat.registered", "eat.time",    "eat.registered", "eat.cnf",
                               "eat.nonce",      "eat.ueid",    "eat.oemid",      "eat.hwmodel",
                               "eat.oemboot",    "eat.dbgstat", "eat.profile",    "eat.submods",
                               "eat.bootseed",   "eat.swname",  "eat.swversion",  "eat.measres",
                               "eat.intuse"};
  ASSERT_EQ(good.size(), std::size(codes) + 1);
  for (std::size_t i = 0; i < std::size(codes); ++i) {
    auto claims = good;
    claims[i].second = {0xf6};  // null
    EXPECT_EQ(code_of(verify_eat_cwt(cwt(cb::map(claims)), anchors())), codes[i]) << i;
  }
}

TEST(EatMutation, EachOctetOfTheToken_IsRefused) {
  const auto text = jwt(set_of(good_claims()));
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto bad = text;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(verify_eat_jwt(bad, anchors())) << i;
  }
  // The unprotected header alone stands outside of the signature: the label of kid.
  const auto token = cwt(cb::map(good_cbor()), "application/eat+cwt");
  int opened = 0;
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto bad = token;
    bad[i] ^= 1;
    opened += verify_eat_cwt(bad, anchors()) ? 1 : 0;
  }
  EXPECT_LE(opened, 1);
}

TEST(Eat, OtherTokens_Type) {
  EXPECT_EQ(code_of(verify_eat_jwt(jwt("{}", "at+jwt"), anchors())), "eat.type");
  EXPECT_EQ(code_of(verify_eat_cwt(cwt(cb::map({}), "application/x"), anchors())), "eat.type");
  EXPECT_EQ(code_of(verify_eat_jwt(jwt("[]"), anchors())), "eat.malformed");
  EXPECT_EQ(code_of(verify_eat_cwt(cwt({0xff}), anchors())), "eat.malformed");
}

TEST(Eat, NothingIsReadBeforeTheSignature) {
  const auto stranger = test::must_have(PrivateKey::generate(KeyKind::kEcP256));
  EXPECT_EQ(code_of(verify_eat_jwt(test::must_have(make_compact(stranger, "[")), anchors())),
            "jws.signature");
}

TEST(Eat, NestedTokens_AreVerified) {
  const auto inner = jwt(R"({"swname":"inner"})");
  auto eat = verify_eat_jwt(jwt(R"({"submods":{"a":["JWT",")" + inner + R"("]}})"), anchors());
  ASSERT_TRUE(eat) << eat.error().detail;
  EXPECT_TRUE(eat->claims.submods[0].is_token);
  EXPECT_EQ(eat->claims.submods[0].claims.swname, "inner");
  const auto in_cbor = base64url_encode(cwt(cb::map({{cb::integer(270), cb::text("c")}})));
  eat = verify_eat_jwt(jwt(R"({"submods":{"a":["CBOR",")" + in_cbor + R"("]}})"), anchors());
  ASSERT_TRUE(eat) << eat.error().detail;
  EXPECT_EQ(eat->claims.submods[0].claims.swname, "c");
  const auto nested =
      cb::map({{cb::integer(266), cb::map({{cb::text("j"), cb::text(inner)},
                                           {cb::text("c"), cb::bytes(cwt(cb::map({})))}})}});
  eat = verify_eat_cwt(cwt(nested), anchors());
  ASSERT_TRUE(eat) << eat.error().detail;
  EXPECT_EQ(eat->claims.submods[0].claims.swname, "inner");
  const auto stranger = test::must_have(PrivateKey::generate(KeyKind::kEcP256));
  const auto foreign = test::must_have(make_compact(stranger, "{}"));
  EXPECT_EQ(
      code_of(verify_eat_jwt(jwt(R"({"submods":{"a":["JWT",")" + foreign + R"("]}})"), anchors())),
      "jws.signature");
}

TEST(Eat, UnsignedSet_OnlyInsideASignedMessage) {
  const auto json = to_bytes(R"({"swname":"x"})");
  EXPECT_EQ(code_of(read_eat_ucs(json, Encoding::kJson, false, anchors())), "eat.unsigned");
  const auto eat = read_eat_ucs(json, Encoding::kJson, true, anchors());
  ASSERT_TRUE(eat);
  EXPECT_FALSE(eat->signer);
  EXPECT_EQ(code_of(read_eat_ucs(cb::map({}), Encoding::kCbor, true, anchors())), "good");
}

TEST(Freshness, NonceAndAccount_AreToldApart) {
  const std::string token(43, 'A'), key_authorization = token + "." + std::string(43, 'B');
  const auto digest = crypto::sha256(view_of(key_authorization));
  const auto json = [&](std::string_view text) {
    return freshness_of({to_bytes(text)}, Encoding::kJson, token, key_authorization);
  };
  EXPECT_EQ(json(token), Freshness::kNonce);
  EXPECT_EQ(json(key_authorization), Freshness::kAccount);
  EXPECT_EQ(json(base64url_encode(digest)), Freshness::kAccount);
  EXPECT_EQ(json("another nonce"), Freshness::kNone);
  const auto cbor = [&](ByteView octets) {
    return freshness_of({to_bytes(octets)}, Encoding::kCbor, token, key_authorization);
  };
  EXPECT_EQ(cbor(Bytes(32, 0)), Freshness::kNonce);  // the token decoded
  EXPECT_EQ(cbor(view_of(token)), Freshness::kNonce);
  EXPECT_EQ(cbor(digest), Freshness::kAccount);
  EXPECT_EQ(cbor(Bytes(32, 1)), Freshness::kNone);
  EXPECT_EQ(freshness_of({}, Encoding::kCbor, token, key_authorization), Freshness::kNone);
  EXPECT_EQ(freshness_of({Bytes{}}, Encoding::kCbor, "", ""), Freshness::kNone)
      << "nothing compared";
}

}  // namespace
}  // namespace keyward::rats
