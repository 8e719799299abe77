// Proves PKIX evidence and the attestation attribute of a CSR: the good one reads, each field changed
// is refused for itself.
#include <gtest/gtest.h>

#include "firmware/rats/pkix_evidence.h"
#include "firmware/x509/der.h"
#include "tests/support/rats/rats.h"

namespace keyward::rats {
namespace {

using crypto::KeyKind;
using crypto::PrivateKey;
namespace pkix = test::pkix;

const Bytes kNonce(32, 7);

struct Stage {
  test::RatsAuthority authority;
  PrivateKey ak = test::must_have(PrivateKey::generate(KeyKind::kEcP256));
  PrivateKey attested = test::must_have(PrivateKey::generate(KeyKind::kEcP256));
  TrustAnchors anchors{{}, {authority.root()}, test::kRatsAtMs};

  Bytes ak_certificate(test::CertificateSpec spec = {}) const {
    if (spec.extended_key_usage.empty()) spec.extended_key_usage = test::kAkUsage;
    return authority.issue(ak.public_key(), spec);
  }
  test::PkixSpec good() const {
    auto spec = test::good_pkix(kNonce, attested.public_key());
    spec.certificate = ak_certificate();
    spec.elements[0].claims.push_back({"2", pkix::bytes(ak.public_key().spki_der())});
    return spec;
  }
  Appraised<PkixEvidence> verify(const test::PkixSpec& spec) const {
    return verify_pkix_evidence(test::make_pkix(spec, ak), anchors, test::pkix_oids());
  }
  std::string code(const test::PkixSpec& spec) const {
    const auto result = verify(spec);
    return result ? "good" : result.error().code;
  }
};

const Stage& stage() {
  static const auto* const made = new Stage;
  return *made;
}

TEST(Pkix, Good_EveryClaimIsRead) {
  const auto evidence = stage().verify(stage().good());
  ASSERT_TRUE(evidence) << evidence.error().code << " " << evidence.error().detail;
  EXPECT_EQ(evidence->nonce, kNonce);
  EXPECT_TRUE(evidence->timestamp_ms);
  EXPECT_EQ(evidence->platform->hwserial, "HSM-0001");
  EXPECT_EQ(evidence->platform->fipslevel, 3);
  EXPECT_EQ(evidence->platform->fipsboot, true);
  ASSERT_EQ(evidence->keys.size(), 1u);
  const auto& key = evidence->keys[0];
  EXPECT_EQ(key.key->spki_sha256(), stage().attested.public_key().spki_sha256());
  EXPECT_EQ(key.extractable, false);
  EXPECT_EQ(key.never_extractable, true);
  EXPECT_EQ(key.identifiers, std::vector<std::string>{"key-1"});
  EXPECT_EQ(evidence->signers.size(), 1u);
}

TEST(Pkix, UnknownTypes_AreNamedAndIgnored) {
  auto spec = stage().good();
  spec.elements.push_back({7, {{"=1.2.3.4", pkix::boolean(true)}}});
  spec.elements[2].claims.push_back({"=1.2.3.5", {}});
  const auto evidence = stage().verify(spec);
  ASSERT_TRUE(evidence) << evidence.error().code;
  EXPECT_EQ(evidence->unknown.size(), 2u);
}

TEST(Pkix, ConfiguredKey_NeedsNoCertificate) {
  auto spec = stage().good();
  spec.certificate.reset();
  spec.key_id = "ak-1";
  EXPECT_EQ(stage().code(spec), "trust.key");
  const TrustAnchors keys{{{"ak-1", stage().ak.public_key()}}, {}, test::kRatsAtMs};
  EXPECT_TRUE(verify_pkix_evidence(test::make_pkix(spec, stage().ak), keys, test::pkix_oids()));
  spec.key_id.reset();
  spec.signer_spki = stage().ak.public_key().spki_der();
  EXPECT_TRUE(verify_pkix_evidence(test::make_pkix(spec, stage().ak), keys, test::pkix_oids()));
}

TEST(PkixRefusal, IsReachedExactly) {
  const auto& s = stage();
  const auto der = test::make_pkix(s.good(), s.ak);
  const auto code = [&](const Appraised<PkixEvidence>& result) {
    return result ? std::string("good") : result.error().code;
  };
  EXPECT_EQ(code(verify_pkix_evidence(der, s.anchors, {})), "pkix.oids");
  EXPECT_EQ(code(verify_pkix_evidence(der, s.anchors, {test::kPkixArc, ""})), "pkix.oids");
  EXPECT_EQ(code(verify_pkix_evidence({}, s.anchors, test::pkix_oids())), "pkix.malformed");
  auto trailing = der;
  trailing.push_back(0);
  EXPECT_EQ(code(verify_pkix_evidence(trailing, s.anchors, test::pkix_oids())), "pkix.malformed");
  auto spec = s.good();
  spec.sign = false;
  EXPECT_EQ(s.code(spec), "pkix.unsigned");
  spec = s.good();
  spec.certificate.reset();
  EXPECT_EQ(s.code(spec), "pkix.signer");
  spec = s.good();
  spec.signer_spki = s.attested.public_key().spki_der();
  EXPECT_EQ(s.code(spec), "pkix.signer");
  spec = s.good();
  spec.algorithm = x509::der_sequence({x509::der_oid("1.2.840.10045.4.1")});  // ECDSA with SHA-1
  EXPECT_EQ(s.code(spec), "pkix.algorithm");
  const test::RatsAuthority other("Another root");
  spec = s.good();
  spec.certificate = other.issue(s.ak.public_key());
  EXPECT_EQ(s.code(spec), "trust.certificate");
  test::CertificateSpec usage;
  usage.digital_signature = false;
  spec.certificate = s.ak_certificate(usage);
  EXPECT_EQ(s.code(spec), "pkix.ak-usage");
  usage = {};
  usage.key_usage = false;
  spec.certificate = s.ak_certificate(usage);
  EXPECT_EQ(s.code(spec), "pkix.ak-usage");
  usage = {};
  usage.extended_key_usage = "1.3.6.1.5.5.7.3.1";
  spec.certificate = s.ak_certificate(usage);
  EXPECT_EQ(s.code(spec), "pkix.ak-usage");
  EXPECT_EQ(code(verify_pkix_evidence(test::make_pkix(s.good(), s.attested), s.anchors,
                                      test::pkix_oids())),
            "pkix.signature");
  spec = s.good();
  spec.version = 2;
  EXPECT_EQ(s.code(spec), "pkix.version");
  spec = s.good();
  spec.elements.push_back(spec.elements[1]);
  EXPECT_EQ(s.code(spec), "pkix.elements");
  spec = s.good();
  spec.elements.push_back(spec.elements[2]);
  EXPECT_EQ(s.code(spec), "pkix.elements") << "one key twice";
  spec = s.good();
  spec.elements[0].claims.back().value = pkix::bytes(s.attested.public_key().spki_der());
  EXPECT_EQ(s.code(spec), "pkix.ak-spki");
}

// Each claim of good evidence changed in turn, signed again: refused as a claim.
TEST(PkixMutation, EachClaim_OfAnotherTypeOrTwice) {
  const auto good = stage().good();
  for (std::size_t e = 0; e < good.elements.size(); ++e) {
    for (std::size_t c = 0; c < good.elements[e].claims.size(); ++c) {
      const auto& number = good.elements[e].claims[c].number;
      auto spec = good;
      spec.elements[e].claims[c].value = Bytes{0x86, 0};  // null
      EXPECT_EQ(stage().code(spec), "pkix.claim") << e << "." << number;
      spec.elements[e].claims[c].value = {};
      EXPECT_EQ(stage().code(spec), "pkix.claim") << e << "." << number;
      const bool repeatable = (e == 0 && number == "2") || (e == 2 && number == "0");
      if (repeatable) continue;
      spec = good;
      spec.elements[e].claims.push_back(spec.elements[e].claims[c]);
      EXPECT_EQ(stage().code(spec), "pkix.claim") << e << "." << number;
    }
  }
  auto spec = good;
  spec.elements[1].claims[12].value = pkix::integer(5);  // fipslevel
  EXPECT_EQ(stage().code(spec), "pkix.claim");
}

TEST(PkixMutation, EachOctet_NeverVerifies) {
  const auto good = test::make_pkix(stage().good(), stage().ak);
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 0x01;
    EXPECT_FALSE(verify_pkix_evidence(bad, stage().anchors, test::pkix_oids())) << i;
  }
}

// ---- CSR

std::string csr_code(const std::vector<Bytes>& values) {
  const auto result = read_csr_attestation(test::csr_with_attestations(stage().attested, values));
  return result ? "good" : result.error().code;
}

TEST(CsrAttestation, Good_StatementsAndCertificates) {
  const auto evidence = test::make_pkix(stage().good(), stage().ak);
  const auto csr = read_csr_attestation(test::csr_with_attestations(
      stage().attested,
      {test::attestation_bundle({{test::kPkixArc, evidence}}, {stage().ak_certificate()})}));
  ASSERT_TRUE(csr) << csr.error().detail;
  EXPECT_EQ(csr->key.spki_sha256(), stage().attested.public_key().spki_sha256());
  ASSERT_EQ(csr->statements.size(), 1u);
  EXPECT_EQ(csr->statements[0].type, test::kPkixArc);
  EXPECT_EQ(csr->statements[0].statement, evidence);
  EXPECT_EQ(csr->certificates.size(), 1u);
}

TEST(CsrMutation, EachOctet_IsRefused) {
  const auto good = test::csr_with_attestations(
      stage().attested, {test::attestation_bundle({{"1.2.3.4", Bytes{5, 0}}}, {})});
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 1;
    const auto result = read_csr_attestation(bad);
    EXPECT_TRUE(!result && result.error().code.starts_with("csr.")) << i;
  }
}

TEST(CsrAttestation, Refusal_IsReachedExactly) {
  const auto bundle = test::attestation_bundle({{"1.2.3.4", Bytes{5, 0}}}, {});
  EXPECT_EQ(csr_code({bundle}), "good");
  EXPECT_EQ(csr_code({}), "csr.attestation");
  EXPECT_EQ(csr_code({bundle, bundle}), "csr.attestation");
  EXPECT_EQ(csr_code({test::attestation_bundle({}, {})}), "csr.attestation");
  EXPECT_EQ(csr_code({Bytes{5, 0}}), "csr.attestation");
  auto two = bundle;
  append(two, bundle);
  EXPECT_EQ(csr_code({two}), "csr.attestation") << "two values in one attribute";
  auto csr = test::csr_with_attestations(stage().attested, {bundle});
  csr.back() ^= 1;
  const auto result = read_csr_attestation(csr);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, "csr.malformed");
}

}  // namespace
}  // namespace keyward::rats
