// Proves what ties evidence to an order, and the evidence of security modules.
#include <gtest/gtest.h>

#include "firmware/appraise/decision.h"
#include "firmware/jose/jwk.h"
#include "firmware/rats/jwt.h"
#include "tests/support/quote/quote.h"
#include "tests/support/rats/rats.h"

namespace keyward::appraise {
namespace {

constexpr std::int64_t kAt = test::kRatsAtMs;
constexpr const char* kAuthorization = "bm9uY2Utb2Y.thumbprint";
constexpr const char* kPkix = "application/vnd.keyward.pkix-evidence";

std::string ids(const Decision& decision) {
  std::string out;
  for (const auto& reason : decision.why_not) out += (out.empty() ? "" : " ") + reason.id;
  return out;
}

Question question() {
  Question out;
  out.fresh.token = "bm9uY2Utb2Y";
  out.fresh.key_authorization = kAuthorization;
  out.at_utc_ms = kAt;
  return out;
}

class Binding : public ::testing::Test {
 protected:
  Binding() {
    policy_.name = "test";
    policy_.evidence = {Kind::kPkix};
    policy_.bind = {true, true, true, false};
    policy_.pkix.oids = test::pkix_oids();
    policy_.pkix.roots = {authority_.root()};
    policy_.pkix.not_extractable = true;
    policy_.pkix.never_extractable = true;
    policy_.pkix.local = true;
    policy_.pkix.sensitive = true;
    policy_.pkix.fips_boot = true;
    policy_.pkix.fips_level_min = 3;
  }
  test::PkixSpec good() const {
    auto out = test::good_pkix(view_of(kAuthorization), attested_.public_key());
    test::CertificateSpec leaf;
    leaf.extended_key_usage = test::kAkUsage;
    out.certificate = authority_.issue(module_.public_key(), leaf);
    return out;
  }
  std::string judge(const test::PkixSpec& spec) {
    last_ = appraise(policy_,
                     rats::ResponsePayload(*rats::parse_cmw(
                         rats::write_cbor_record(kPkix, test::make_pkix(spec, module_)))),
                     question());
    return ids(last_);
  }
  // The claim of this number of the key becomes false.
  std::string judge_without(unsigned element, const std::string& number) {
    auto spec = good();
    std::erase_if(spec.elements[element].claims,
                  [&](const auto& claim) { return claim.number == number; });
    return judge(spec);
  }
  std::string judge_csr(const crypto::PrivateKey& key) {
    const auto bundle =
        test::attestation_bundle({{test::kPkixArc, test::make_pkix(good(), module_)}}, {});
    last_ = appraise(
        policy_,
        rats::ResponsePayload(rats::CsrPayload{test::csr_with_attestations(key, {bundle})}),
        question());
    return ids(last_);
  }

  test::RatsAuthority authority_;
  crypto::PrivateKey module_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  crypto::PrivateKey attested_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  crypto::PrivateKey other_ = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  AppraisalPolicy policy_;
  Decision last_;
};

TEST_F(Binding, Module_Good_GivesTheKeyThatTheCsrMustHave) {
  EXPECT_EQ(judge(good()), "");
  ASSERT_TRUE(last_.findings.key);
  EXPECT_EQ(last_.findings.key->spki_sha256(), attested_.public_key().spki_sha256());
  EXPECT_EQ(last_.findings.freshness, Freshness::kAccount);
}

TEST_F(Binding, Module_EachClaimMissing_IsToldByItsId) {
  EXPECT_EQ(judge_without(0, "0"), "pkix.freshness");
  EXPECT_EQ(judge_without(1, "11"), "pkix.fips");
  EXPECT_EQ(judge_without(1, "13"), "pkix.fips");
  EXPECT_EQ(judge_without(2, "1"), "pkix.keys");
  EXPECT_EQ(judge_without(2, "2"), "pkix.extractable");
  EXPECT_EQ(judge_without(2, "3"), "pkix.sensitive");
  EXPECT_EQ(judge_without(2, "4"), "pkix.never-extractable");
  EXPECT_EQ(judge_without(2, "5"), "pkix.local");
  auto none = good();
  none.elements.pop_back();
  EXPECT_EQ(judge(none), "pkix.keys");
}

TEST_F(Binding, Csr_ItsKeyIsTheAttestedOne_OrRefused) {
  EXPECT_EQ(judge_csr(attested_), "");
  EXPECT_EQ(judge_csr(other_), "pkix.csr-key");
}

TEST_F(Binding, WhatThePolicyDoesNotBindBy_IsNotEnforced) {
  policy_.bind = {true, false, false, false};
  EXPECT_EQ(judge(good()), "");
  EXPECT_FALSE(last_.findings.key);
  policy_.bind = {false, true, false, false};
  EXPECT_EQ(judge(good()), "bind.none");
}

TEST_F(Binding, Encrypted_IsNotJudged) {
  EXPECT_EQ(ids(appraise(policy_, rats::ResponsePayload(rats::JwePayload{"x"}), question())),
            "evidence.none");
}

TEST_F(Binding, PiecesAboutDifferentKeysOrDevices_AreRefused) {
  const auto jwk = jose::Jwk::from_public_key(other_.public_key())->canonical();
  policy_.evidence = {Kind::kPkix, Kind::kEat};
  policy_.eat.keys = {{"", module_.public_key()}};
  const auto piece = [&](const std::string& more) {
    const auto token = rats::make_compact(
        module_, std::string(R"({"eat_nonce":")") + kAuthorization + "\"" + more + "}");
    rats::CmwRecord out;
    out.media_type.type = "application/eat+jwt";
    out.value = to_bytes(*token);
    return out;
  };
  const auto both = [&](rats::CmwRecord first, rats::CmwRecord second) {
    rats::Cmw cmw;
    for (auto* record : {&first, &second}) {
      rats::Cmw one;
      one.record = std::move(*record);
      cmw.entries.push_back({std::to_string(cmw.entries.size()), std::move(one)});
    }
    return ids(appraise(policy_, rats::ResponsePayload(std::move(cmw)), question()));
  };
  rats::CmwRecord module;
  module.media_type.type = kPkix;
  module.value = test::make_pkix(good(), module_);
  EXPECT_EQ(both(module, piece("")), "");
  EXPECT_EQ(both(module, piece(R"(,"cnf":{"jwk":)" + jwk + "}")), "bind.keys");
  policy_.eat.device_claim = "sub";
  EXPECT_EQ(both(piece(R"(,"sub":"A")"), piece(R"(,"sub":"A")")), "");
  EXPECT_EQ(both(piece(R"(,"sub":"A")"), piece(R"(,"sub":"B")")), "bind.devices");
}

TEST_F(Binding, ResultOfOtherEvidenceOrForAnotherChallenge_IsRefused) {
  policy_ = {};
  policy_.evidence = {Kind::kEar};
  policy_.bind.nonce = true;
  policy_.relay = "other";
  policy_.relay_media_types = {"application/x"};
  policy_.ear.verifiers = {{"other", "https://v.example", "", {{"", module_.public_key()}}, {}}};
  const auto judged = [&](std::string_view nonce, std::string_view evidence) {
    const auto claims = std::string(R"({"eat_profile":")") + std::string(rats::kEarProfile) +
                        R"(","iat":)" + std::to_string(test::kRatsAtS) +
                        R"(,"ear_verifier_id":{"developer":"https://v.example","build":"1"},)" +
                        R"("eat_nonce":")" + std::string(nonce) + R"(","ear_raw_evidence":")" +
                        base64url_encode(view_of(evidence)) +
                        R"(","submods":{"host":{"ear_status":"affirming"}}})";
    auto asked = question();
    asked.relayed = to_bytes(*rats::make_compact(module_, claims));
    return ids(appraise(policy_,
                        rats::ResponsePayload(*rats::parse_cmw(
                            rats::write_cbor_record("application/x", view_of("evidence")))),
                        asked));
  };
  EXPECT_EQ(judged(kAuthorization, "evidence"), "");
  EXPECT_EQ(judged(kAuthorization, "other"), "ear.evidence-other");
  EXPECT_EQ(judged("bm9uY2Utb3RoZXI", "evidence"), "ear.freshness");
}

}  // namespace
}  // namespace keyward::appraise
