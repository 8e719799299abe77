// EK certificates: each refusal by exactly one case, and what vendors' certificates need tolerated.
#include "firmware/attest/ek_certificate.h"

#include <gtest/gtest.h>

#include "firmware/attest/ca_search.h"
#include "firmware/attest/utc_text.h"
#include "hal/base/limits.h"
#include "tests/support/endorsement/endorsement.h"

namespace keyward::attest {
namespace {

using test::EkSpec;

constexpr std::int64_t kNowMs = 1'790'000'000'000;
constexpr std::int64_t kHourMs = 3'600'000;

const test::EkMaker& maker() {
  static const test::EkMaker made(kNowMs);
  return made;
}
EkPolicy policy() {
  EkPolicy out;
  out.roots = {maker().root()};
  return out;
}
std::string code(const EkSpec& spec, EkPolicy rules = policy()) {
  const auto result =
      appraise_ek(maker().certificate(spec), {maker().intermediate().der}, rules, kNowMs);
  return result ? "" : result.error().code;
}

TEST(EkCertificate, Good_NamesItsTpmAndItsDigests) {
  Checks checks;
  const auto der = maker().certificate();
  const auto ek = appraise_ek(der, {maker().intermediate().der}, policy(), kNowMs, &checks);
  ASSERT_TRUE(ek) << ek.error().code << " " << ek.error().detail;
  EXPECT_EQ(ek->tpm.manufacturer, "id:49465800");
  EXPECT_EQ(ek->tpm.model, "SLB9670");
  EXPECT_EQ(ek->tpm.version, "id:0007");
  EXPECT_EQ(ek->certificate_sha256, crypto::sha256(der));
  EXPECT_EQ(ek->spki_sha256, maker().ek().public_key().spki_sha256());
  EXPECT_EQ(checks.size(), 5u);
}

struct Case {
  const char* name;
  const char* code;
  EkSpec spec;
};
class EkRefusal : public ::testing::TestWithParam<Case> {};
TEST_P(EkRefusal, IsReachedExactly) { EXPECT_EQ(code(GetParam().spec), GetParam().code); }

template <class Change>
EkSpec with(Change change) {
  EkSpec out;
  change(out);
  return out;
}
std::string case_name(const ::testing::TestParamInfo<Case>& tested) { return tested.param.name; }
INSTANTIATE_TEST_SUITE_P(
    All, EkRefusal,
    ::testing::Values(
        Case{"Version1", "ek.version", with([](auto& s) { s.version_1 = true; })},
        Case{"Ca", "ek.ca", with([](auto& s) { s.ca = true; })},
        Case{"NoEkUsage", "ek.eku", with([](auto& s) { s.usages = {"2.23.133.8.3"}; })},
        Case{"KeyUsage", "ek.key-usage", with([](auto& s) { s.other_key_usage = true; })},
        Case{"WeakKey", "ek.key", with([](auto& s) { s.weak_key = true; })},
        Case{"NoSan", "ek.san", with([](auto& s) { s.san = false; })},
        Case{"UnknownCa", "ek.unknown-ca",
             with([](auto& s) { s.issuer = EkSpec::Issuer::kUnknown; })},
        Case{"Expired", "ek.expired", with([](auto& s) {
               s.not_before_ms = kNowMs - 2 * kHourMs;
               s.not_after_ms = kNowMs - kHourMs;
             })},
        Case{"NotYetValid", "ek.not-yet-valid",
             with([](auto& s) { s.not_before_ms = kNowMs + kHourMs / 2; })},
        Case{"Signature", "ek.chain", with([](auto& s) { s.flip_signature = true; })}),
    case_name);

TEST(EkCertificate, NotACertificate_IsRefused) {
  const auto result = appraise_ek(view_of("no DER"), {}, policy(), kNowMs);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, "ek.certificate");
}

TEST(EkCertificate, OtherManufacturer_IsRefused) {
  auto rules = policy();
  rules.manufacturers = {"STM", "id:494E5443"};
  EXPECT_EQ(code({}, rules), "ek.manufacturer");
  rules.manufacturers = {"IFX"};
  EXPECT_EQ(code({}, rules), "");
  rules.manufacturers = {"id:49465820"};  // padded by a blank instead of a zero
  EXPECT_EQ(code({}, rules), "");
  EXPECT_FALSE(check_manufacturers({"Infineon"}));
  EXPECT_FALSE(check_manufacturers({"id:4946"}));
}

TEST(EkCertificate, IncompleteTpmNames_AreRefused) {
  EXPECT_EQ(code(with([](auto& s) { s.manufacturer = ""; })), "ek.san");
  EXPECT_EQ(code(with([](auto& s) { s.manufacturer = "IFX"; })), "ek.san");
  EXPECT_EQ(code(with([](auto& s) { s.model = ""; })), "ek.san");
  EXPECT_EQ(code(with([](auto& s) { s.version = std::string(65, 'x'); })), "ek.san");
  EXPECT_EQ(code(with([](auto& s) { s.version = "a\nb"; })), "ek.san");
}

TEST(EkCertificate, PaddingOfAnNvIndex_IsNotPartOfIt) {
  for (const std::uint8_t filler : Bytes{0x00, 0xff}) {
    auto der = maker().certificate();
    const auto digest = crypto::sha256(der);
    der.insert(der.end(), 40, filler);
    const auto ek = appraise_ek(der, {maker().intermediate().der}, policy(), kNowMs);
    ASSERT_TRUE(ek);
    EXPECT_EQ(ek->certificate_sha256, digest);
  }
  auto der = maker().certificate();
  der.push_back(1);
  EXPECT_EQ(appraise_ek(der, {}, policy(), kNowMs).error().code, "ek.certificate");
}

TEST(EkCertificate, ExpiredIntermediate_HoldsAtTheTimeOfIssuance) {
  const test::EkMaker old(kNowMs, kNowMs - 10 * kHourMs);
  const auto der = old.certificate(with([](auto& s) {
    s.not_before_ms = kNowMs - 20 * kHourMs;
    s.not_after_ms = kNowMs + kHourMs;
  }));
  EkPolicy rules;
  rules.roots = {old.root()};
  const auto judged = [&] {
    const auto ek = appraise_ek(der, {old.intermediate().der}, rules, kNowMs);
    return ek ? std::string() : ek.error().code;
  };
  EXPECT_EQ(judged(), "ek.expired");
  rules.time = *ek_time_from("issuance");
  EXPECT_EQ(judged(), "");
  rules.time = *ek_time_from(utc_text(kNowMs - 15 * kHourMs));
  EXPECT_EQ(judged(), "");
  rules.time = *ek_time_from(utc_text(kNowMs - 30 * kHourMs));
  EXPECT_EQ(judged(), "ek.not-yet-valid");
  for (const auto* text :
       {"", "today", "2026-02-31T00:00:00Z", "2026-01-01", " 2026-01-01T00:00:00Z"})
    EXPECT_FALSE(ek_time_from(text)) << text;
}

TEST(EkCertificate, IntermediateOfTheBundle_IsFoundWithoutBeingSent) {
  auto rules = policy();
  rules.intermediates = {maker().intermediate()};
  EXPECT_TRUE(appraise_ek(maker().certificate(), {}, rules, kNowMs));
  rules.roots.clear();
  EXPECT_EQ(appraise_ek(maker().certificate(), {}, rules, kNowMs).error().code, "ek.unknown-ca");
}

TEST(EkCertificate, Revoked_EkAndEachCaAboveIt_AreRefused) {
  const auto der = maker().certificate();
  const auto leaf = *x509::parse_certificate(der);
  auto rules = policy();
  rules.intermediates = {maker().intermediate()};
  const auto judged = [&](const x509::Certificate& revoked) {
    rules.revoked = {crypto::sha256(revoked.spki_der)};
    const auto result = appraise_ek(der, {maker().intermediate().der}, rules, kNowMs);
    return result ? "" : result.error().code;
  };
  EXPECT_EQ(judged(leaf), "ek.revoked");
  EXPECT_EQ(judged(maker().intermediate()), "ek.revoked");
  EXPECT_EQ(judged(maker().root()), "ek.revoked");
}

TEST(EkCertificate, Revoked_AnotherKey_ChangesNothing) {
  auto rules = policy();
  rules.intermediates = {maker().intermediate()};
  rules.revoked = {Digest256{1}};
  EXPECT_TRUE(appraise_ek(maker().certificate(), {}, rules, kNowMs));
  const auto unknown =
      maker().certificate(with([](auto& s) { s.issuer = EkSpec::Issuer::kUnknown; }));
  EXPECT_EQ(appraise_ek(unknown, {}, rules, kNowMs).error().code, "ek.unknown-ca");
}

TEST(EkCertificate, MissingCa_IsNamedWithTheClosestKnown) {
  const auto der = maker().certificate(with([](auto& s) {
    s.issuer = EkSpec::Issuer::kUnknown;
    s.aia = true;
  }));
  const auto leaf = *x509::parse_certificate(der);
  const auto missing = missing_ca(leaf, {maker().intermediate()}, {maker().root()});
  EXPECT_EQ(missing.issuer, "O=Maker of TPMs, CN=TPM Intermediate CA 2, C=XX");
  EXPECT_EQ(missing.key_id, hex_encode(authority_key_id(leaf)));
  ASSERT_EQ(missing.urls.size(), 1u);
  EXPECT_EQ(missing.urls[0], "http://tpm.example/intermediate.cer");
  EXPECT_EQ(missing.how, "it is of the same organisation");
  const auto refused = appraise_ek(der, {maker().intermediate().der}, policy(), kNowMs);
  ASSERT_FALSE(refused);
  for (const auto& part : {missing.issuer, missing.key_id, missing.urls[0], missing.closest})
    EXPECT_NE(refused.error().detail.find(part), std::string::npos) << refused.error().detail;
}

TEST(EkCertificate, CaOfThatNameWithAnotherKey_IsSaidToBeAnother) {
  const auto der = maker().certificate(with([](auto& s) { s.issuer = EkSpec::Issuer::kNamesake; }));
  const auto refused = appraise_ek(der, {maker().intermediate().der}, policy(), kNowMs);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "ek.unknown-ca");
  EXPECT_NE(refused.error().detail.find("it has that name and another key"), std::string::npos);
}

TEST(EkCertificate, MissingIntermediate_IsTheOneThatIsNamed) {
  const auto refused = appraise_ek(maker().certificate(), {}, policy(), kNowMs);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "ek.unknown-ca");
  EXPECT_NE(refused.error().detail.find("CN=TPM Intermediate CA,"), std::string::npos);
}

TEST(EkCertificate, BrokenCertificateBesideIt_IsRefused) {
  EXPECT_EQ(appraise_ek(maker().certificate(), {to_bytes("x")}, policy(), kNowMs).error().code,
            "ek.chain");
  const std::vector<Bytes> many(limits::kChainCertificatesMax + 1, maker().intermediate().der);
  EXPECT_EQ(appraise_ek(maker().certificate(), many, policy(), kNowMs).error().code, "ek.chain");
}

std::string public_code(const test::AreaSpec& spec) {
  const auto& key = maker().ek().public_key();
  const auto result = check_ek_public(key, test::area_of(spec, key));
  return result ? "" : result.error().code;
}

TEST(EkPublicArea, EachRefusal_IsReached) {
  const auto& key = maker().ek().public_key();
  EXPECT_EQ(public_code(test::good_ek_area()), "");
  EXPECT_EQ(check_ek_public(key, view_of("x")).error().code, "ek.public");
  const auto other = test::area_of(test::good_ek_area(), maker().ak().public_key());
  EXPECT_EQ(check_ek_public(key, other).error().code, "ek.public-key");
  // fixedTPM, fixedParent, sensitiveDataOrigin, restricted, decrypt off; sign on
  for (const std::uint32_t bit : {1u << 1, 1u << 4, 1u << 5, 1u << 16, 1u << 17, 1u << 18}) {
    auto spec = test::good_ek_area();
    spec.attributes ^= bit;
    EXPECT_EQ(public_code(spec), "ek.public-attributes") << bit;
  }
  auto cipher = test::good_ek_area();
  cipher.aes_mode = 0x0042;  // CBC
  EXPECT_EQ(public_code(cipher), "ek.public-parameters");
  auto name = test::good_ek_area();
  name.name_alg = 0x0004;  // SHA-1
  EXPECT_EQ(public_code(name), "ek.public-parameters");
}

TEST(EkPublicArea, Missing_IsTheTemplateOfSuchAKey) {
  const auto usual = check_ek_public(maker().ek().public_key(), {});
  ASSERT_TRUE(usual);
  EXPECT_EQ(usual->aes_bits, 128);
  EXPECT_EQ(usual->hash, crypto::HashAlgorithm::kSha256);
}

}  // namespace
}  // namespace keyward::attest
