// Proves the reading of attestation results: both sets of names give one result, every tier by its
// range, and every refusal by its code.
#include "firmware/rats/ear.h"

#include <gtest/gtest.h>

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
TrustAnchors anchors() { return {{{"v", key().public_key()}}, {}, test::kRatsAtMs}; }

std::string jwt(std::string_view claims, std::string typ = "JWT") {
  return test::must_have(make_compact(key(), claims, {.kid = "v", .typ = std::move(typ)}));
}

// A good result, each member of which can be replaced or left out ("").
struct Parts {
  std::map<std::string, std::string> top;
  std::map<std::string, std::string> appraisal;
};
Parts good(bool legacy = false) {
  const std::string s = legacy ? "." : "_", d = legacy ? "-" : "_";
  const auto akpub = base64url_encode(key().public_key().spki_der());
  Parts out;
  out.top = {{"eat_profile", "\"" + std::string(legacy ? kEarProfileLegacy : kEarProfile) + "\""},
             {"iat", std::to_string(test::kRatsAtS - 5)},
             {"exp", std::to_string(test::kRatsAtS + 600)},
             {"eat_nonce", R"("yoW1RL2zPBzYEHBQ06Jy")"},
             {"ear" + s + "verifier" + d + "id", R"({"developer":"https://v","build":"1.0"})"},
             {"ear" + s + "raw" + d + "evidence", R"("AQID")"}};
  out.appraisal = {
      {"ear" + s + "status", R"("affirming")"},
      {"ear" + s + "trustworthiness" + d + "vector",
       R"({"instance-identity":2,"configuration":2,"hardware":-2,"executables":0})"},
      {legacy ? "ear.appraisal-policy-id" : "ear_appraisal_policy_ids",
       legacy ? R"("policy:a")" : R"(["policy:a","policy:b"])"},
      {"eat_nonce", R"("yoW1RL2zPBzYEHBQ06Jy")"},
      {"ear" + s + "veraison" + s + "key" + d + "attestation", R"({"akpub":")" + akpub + "\"}"}};
  return out;
}

std::string object(const std::map<std::string, std::string>& members) {
  std::string out = "{";
  for (const auto& [name, value] : members) {
    if (!value.empty()) out += (out.size() > 1 ? ",\"" : "\"") + name + "\":" + value;
  }
  return out + "}";
}

std::string claims(Parts parts) {
  if (!parts.top.contains("submods"))
    parts.top["submods"] = R"({"machine":)" + object(parts.appraisal) + "}";
  return object(parts.top);
}

std::string code_of(const Appraised<Ear>& result) { return result ? "good" : result.error().code; }
std::string code(const Parts& parts) {
  return code_of(verify_ear_jwt(jwt(claims(parts)), anchors()));
}

TEST(Ear, BothNameSets_OneResult) {
  for (const bool legacy : {false, true}) {
    const auto ear = verify_ear_jwt(jwt(claims(good(legacy))), anchors());
    ASSERT_TRUE(ear) << ear.error().code << " " << ear.error().detail;
    EXPECT_EQ(ear->legacy_names, legacy);
    EXPECT_EQ(ear->developer, "https://v");
    EXPECT_EQ(ear->raw_evidence_sha256, crypto::sha256(Bytes{1, 2, 3}));
    ASSERT_EQ(ear->appraisals.size(), 1u);
    const auto& one = ear->appraisals[0];
    EXPECT_EQ(one.label, "machine");
    EXPECT_EQ(one.status, Tier::kAffirming);
    EXPECT_EQ(one.vector[0], 2);
    EXPECT_EQ(one.vector[4], -2);
    EXPECT_FALSE(one.vector[7]);
    EXPECT_EQ(one.policy_ids[0], "policy:a");
    EXPECT_EQ(one.attested_key->spki_sha256(), key().public_key().spki_sha256());
    EXPECT_EQ(one.nonces.size(), 1u);
    EXPECT_TRUE(one.unknown.empty());
    EXPECT_TRUE(ear->unknown.empty());
    EXPECT_EQ(ear->worst(), Tier::kAffirming);
  }
}

Bytes good_cwt(std::string_view profile) {
  const Bytes nonce(32, 7);
  const auto spki = key().public_key().spki_der();
  const auto appraisal =
      cb::map({{cb::integer(10), cb::bytes(nonce)},
               {cb::integer(1000), cb::integer(32)},
               {cb::integer(1001),
                cb::map({{cb::integer(0), cb::integer(2)}, {cb::integer(3), cb::integer(32)}})},
               {cb::integer(-70002), cb::map({{cb::text("akpub"), cb::bytes(spki)}})}});
  const auto set =
      cb::map({{cb::integer(6), cb::integer(test::kRatsAtS)},
               {cb::integer(10), cb::bytes(nonce)},
               {cb::integer(265), cb::text(profile)},
               {cb::integer(266), cb::map({{cb::text("m"), appraisal}})},
               {cb::integer(1004),
                cb::map({{cb::integer(0), cb::text("dev")}, {cb::integer(1), cb::text("b")}})}});
  return test::must_have(make_sign1(key(), set, {.kid = "v"}));
}

TEST(Ear, Cwt_Reads) {
  for (const auto profile : {kEarProfile, kEarProfileLegacy}) {
    const auto ear = verify_ear_cwt(good_cwt(profile), anchors());
    ASSERT_TRUE(ear) << ear.error().code << " " << ear.error().detail;
    EXPECT_EQ(ear->appraisals[0].status, Tier::kWarning);
    EXPECT_EQ(ear->appraisals[0].vector[3], 32);
    EXPECT_TRUE(ear->appraisals[0].attested_key);
    EXPECT_EQ(ear->nonces[0], Bytes(32, 7));
  }
  EXPECT_EQ(code_of(verify_ear_cwt(good_cwt("tag:a,2024:x"), anchors())), "ear.profile");
}

TEST(Ar4si, EveryValue_ItsTierByRange) {
  for (int value = -128; value <= 127; ++value) {
    const auto expected = (value >= -1 && value <= 1)     ? Tier::kNone
                          : (value >= -32 && value <= 31) ? Tier::kAffirming
                          : (value >= -96 && value <= 95) ? Tier::kWarning
                                                          : Tier::kContraindicated;
    EXPECT_EQ(tier_of(static_cast<std::int8_t>(value)), expected) << value;
  }
  for (const char* name : {"none", "affirming", "warning", "contraindicated"})
    EXPECT_EQ(to_string(*tier_from(name)), name);
  EXPECT_FALSE(tier_from("Affirming"));
}

TEST(Ear, EachTier_IsReadAndOrdered) {
  for (const char* status : {"none", "affirming", "warning", "contraindicated"}) {
    auto parts = good();
    parts.appraisal["ear_status"] = "\"" + std::string(status) + "\"";
    parts.appraisal["ear_trustworthiness_vector"] = "";
    const auto ear = verify_ear_jwt(jwt(claims(parts)), anchors());
    ASSERT_TRUE(ear) << status;
    EXPECT_EQ(to_string(ear->appraisals[0].status), status);
    EXPECT_FALSE(ear->appraisals[0].has_vector);
  }
}

struct Wrong {
  bool in_appraisal;
  const char* member;
  std::string value;  // "": left out
  const char* code;
};

std::vector<Wrong> wrong_members() {
  const auto seconds = [](std::int64_t delta) { return std::to_string(test::kRatsAtS + delta); };
  return {{false, "eat_profile", "", "ear.profile"},
          {false, "eat_profile", R"("tag:ietf.org,2026:rats/ear#02")", "ear.profile"},
          {false, "eat_profile", "1", "ear.profile"},
          {false, "iat", "", "ear.iat"},
          {false, "iat", "1.5", "ear.iat"},
          {false, "iat", R"("1")", "ear.iat"},
          {false, "iat", seconds(61), "ear.not-yet"},
          {false, "exp", seconds(-61), "ear.expired"},
          {false, "exp", "1.5", "ear.expired"},
          {false, "ear_verifier_id", "", "ear.verifier-id"},
          {false, "ear_verifier_id", R"({"developer":"x"})", "ear.verifier-id"},
          {false, "ear_verifier_id", R"({"developer":"x","build":1})", "ear.verifier-id"},
          {false, "submods", "{}", "ear.submods"},
          {false, "submods", "[]", "ear.submods"},
          {false, "submods", R"({"m":1})", "ear.submods"},
          {false, "eat_nonce", R"("short")", "ear.nonce"},
          {false, "ear_raw_evidence", "1", "ear.raw-evidence"},
          {false, "ear_raw_evidence", R"("+A==")", "ear.raw-evidence"},
          {false, "ear_status", R"("none")", "ear.status-better"},
          {false, "ear_status", R"("good")", "ear.status"},
          {true, "ear_status", "", "ear.status"},
          {true, "ear_status", R"("ok")", "ear.status"},
          {true, "ear_status", "2", "ear.status"},
          {true, "ear_trustworthiness_vector", "[]", "ear.vector"},
          {true, "ear_trustworthiness_vector", R"({"other":2})", "ear.vector"},
          {true, "ear_trustworthiness_vector", R"({"hardware":128})", "ear.vector"},
          {true, "ear_trustworthiness_vector", R"({"hardware":-129})", "ear.vector"},
          {true, "ear_trustworthiness_vector", R"({"hardware":"2"})", "ear.vector"},
          {true, "ear_trustworthiness_vector", R"({"hardware":32})", "ear.status-better"},
          {true, "ear_trustworthiness_vector", R"({"hardware":-97})", "ear.status-better"},
          {true, "ear_appraisal_policy_ids", R"("a")", "ear.policy-id"},
          {true, "ear_appraisal_policy_ids", "[]", "ear.policy-id"},
          {true, "ear_appraisal_policy_ids", "[1]", "ear.policy-id"},
          {true, "eat_nonce", "1", "ear.nonce"},
          {true, "ear_veraison_key_attestation", "{}", "ear.key"},
          {true, "ear_veraison_key_attestation", R"({"akpub":"AQ"})", "ear.key"}};
}

// Each member of a good result changed in turn: refused, and for that member.
TEST(EarMutation, EachMember_IsRefusedForItself) {
  for (const auto& wrong : wrong_members()) {
    auto parts = good();
    (wrong.in_appraisal ? parts.appraisal : parts.top)[wrong.member] = wrong.value;
    EXPECT_EQ(code(parts), wrong.code) << wrong.member << " " << wrong.value;
  }
}

TEST(EarMutation, EachOctetOfTheResult_IsRefused) {
  const auto text = jwt(claims(good()));
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto bad = text;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(verify_ear_jwt(bad, anchors())) << i;
  }
  const auto token = good_cwt(kEarProfile);
  int opened = 0;  // the label of kid, outside of the signature
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto bad = token;
    bad[i] ^= 1;
    opened += verify_ear_cwt(bad, anchors()) ? 1 : 0;
  }
  EXPECT_LE(opened, 1);
}

TEST(EarMutation, EachCborMember_OfAnotherType) {
  const Bytes nonce(32, 7);
  const std::vector<std::pair<Bytes, Bytes>> appraisal = {
      {cb::integer(10), cb::bytes(nonce)},
      {cb::integer(1000), cb::integer(32)},
      {cb::integer(1001), cb::map({{cb::integer(0), cb::integer(2)}})},
      {cb::integer(-70002),
       cb::map({{cb::text("akpub"), cb::bytes(key().public_key().spki_der())}})}};
  const auto code = [&](std::size_t in_top, std::size_t in_appraisal) {
    auto inner = appraisal;
    if (in_appraisal < inner.size()) inner[in_appraisal].second = {0xf6};  // null
    std::vector<std::pair<Bytes, Bytes>> top = {
        {cb::integer(6), cb::integer(test::kRatsAtS)},
        {cb::integer(10), cb::bytes(nonce)},
        {cb::integer(265), cb::text(kEarProfile)},
        {cb::integer(266), cb::map({{cb::text("m"), cb::map(inner)}})},
        {cb::integer(1004),
         cb::map({{cb::integer(0), cb::text("dev")}, {cb::integer(1), cb::text("b")}})}};
    if (in_top < top.size()) top[in_top].second = {0xf6};
    return code_of(
        verify_ear_cwt(test::must_have(make_sign1(key(), cb::map(top), {.kid = "v"})), anchors()));
  };
  EXPECT_EQ(code(9, 9), "good");
  const char* const of_top[] = {"ear.iat", "ear.nonce", "ear.profile", "ear.submods",
                                "ear.verifier-id"};
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(code(i, 9), of_top[i]) << i;
  const char* const of_appraisal[] = {"ear.nonce", "ear.status", "ear.vector", "ear.key"};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(code(9, i), of_appraisal[i]) << i;
}

TEST(Ear, TheOtherSetsNames_AreUnknown) {
  auto parts = good(true);
  parts.top["eat_profile"] = "\"" + std::string(kEarProfile) + "\"";
  EXPECT_EQ(code(parts), "ear.verifier-id");
  parts = good();
  parts.appraisal["ear.status"] = R"("contraindicated")";
  const auto ear = verify_ear_jwt(jwt(claims(parts)), anchors());
  ASSERT_TRUE(ear);
  EXPECT_EQ(ear->appraisals[0].unknown, std::vector<std::string>{"ear.status"});
}

TEST(Ear, OtherTokens_AreRefused) {
  EXPECT_EQ(code_of(verify_ear_jwt(jwt(claims(good()), "at+jwt"), anchors())), "ear.type");
  EXPECT_EQ(code_of(verify_ear_jwt(jwt("[]"), anchors())), "ear.malformed");
  const auto stranger = test::must_have(PrivateKey::generate(KeyKind::kEcP256));
  EXPECT_EQ(code_of(verify_ear_jwt(test::must_have(make_compact(stranger, "[")), anchors())),
            "jws.signature");
  EXPECT_TRUE(is_ear_profile(kEarProfile));
  EXPECT_FALSE(is_ear_profile("tag:ietf.org,2026:rats/ear"));
}

}  // namespace
}  // namespace keyward::rats
