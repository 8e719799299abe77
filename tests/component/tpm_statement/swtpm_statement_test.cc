// Statements of a real TPM (swtpm) for every algorithm that it offers, through the appraisal: AK
// schemes and hashes, both forms of the signature, hashes of names, kinds of attested keys.
#include <gtest/gtest.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include "firmware/agent/tpm_statement.h"
#include "firmware/attest/device_attest.h"
#include "firmware/attest/tpm_structures.h"
#include "hal/base/clock.h"
#include "tests/support/statement/statement.h"
#include "tests/support/swtpm/swtpm.h"

namespace keyward::attest {
namespace {

constexpr TPMA_OBJECT kDeviceKey = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                   TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                   TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT;
constexpr const char* kKeyAuthorization = "token.thumbprint";

struct Algorithm {
  std::int64_t cose;
  TPM2_ALG_ID scheme, hash;
};
const Algorithm kAlgorithms[] = {
    {-7, TPM2_ALG_ECDSA, TPM2_ALG_SHA256},    {-35, TPM2_ALG_ECDSA, TPM2_ALG_SHA384},
    {-36, TPM2_ALG_ECDSA, TPM2_ALG_SHA512},   {-257, TPM2_ALG_RSASSA, TPM2_ALG_SHA256},
    {-258, TPM2_ALG_RSASSA, TPM2_ALG_SHA384}, {-259, TPM2_ALG_RSASSA, TPM2_ALG_SHA512},
    {-37, TPM2_ALG_RSAPSS, TPM2_ALG_SHA256},  {-38, TPM2_ALG_RSAPSS, TPM2_ALG_SHA384},
    {-39, TPM2_ALG_RSAPSS, TPM2_ALG_SHA512},  {-65535, TPM2_ALG_RSASSA, TPM2_ALG_SHA1},
};

crypto::HashAlgorithm hash_of(TPM2_ALG_ID hash) {
  switch (hash) {
    case TPM2_ALG_SHA1:
      return crypto::HashAlgorithm::kSha1;
    case TPM2_ALG_SHA384:
      return crypto::HashAlgorithm::kSha384;
    case TPM2_ALG_SHA512:
      return crypto::HashAlgorithm::kSha512;
    default:
      return crypto::HashAlgorithm::kSha256;
  }
}

TPM2B_PUBLIC ecc(TPMI_ECC_CURVE curve) {
  TPM2B_PUBLIC out{};
  auto& area = out.publicArea;
  area.type = TPM2_ALG_ECC;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = kDeviceKey;
  area.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
  area.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
  area.parameters.eccDetail.curveID = curve;
  area.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  return out;
}

TPM2B_PUBLIC rsa(TPMI_RSA_KEY_BITS bits) {
  TPM2B_PUBLIC out{};
  auto& area = out.publicArea;
  area.type = TPM2_ALG_RSA;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = kDeviceKey;
  area.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
  area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
  area.parameters.rsaDetail.keyBits = bits;
  return out;
}

TPM2B_PUBLIC attestation_key(const Algorithm& algorithm) {
  const bool is_ecc = algorithm.scheme == TPM2_ALG_ECDSA;
  TPM2B_PUBLIC out = is_ecc ? ecc(TPM2_ECC_NIST_P256) : rsa(2048);
  out.publicArea.objectAttributes |= TPMA_OBJECT_RESTRICTED;
  if (is_ecc) {
    out.publicArea.parameters.eccDetail.scheme.scheme = algorithm.scheme;
    out.publicArea.parameters.eccDetail.scheme.details.ecdsa.hashAlg = algorithm.hash;
  } else {
    out.publicArea.parameters.rsaDetail.scheme.scheme = algorithm.scheme;
    out.publicArea.parameters.rsaDetail.scheme.details.rsassa.hashAlg = algorithm.hash;
  }
  return out;
}

struct Made {
  ESYS_TR handle = ESYS_TR_NONE;
  Bytes area;  // TPMT_PUBLIC; empty: the TPM does not offer it
};

class SwtpmStatement : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::Tss2_TctiLdr_Initialize(device_.tcti().c_str(), &tcti_), TSS2_RC_SUCCESS);
    ASSERT_EQ(::Esys_Initialize(&esys_, tcti_, nullptr), TSS2_RC_SUCCESS);
    const auto started = ::Esys_Startup(esys_, TPM2_SU_CLEAR);
    ASSERT_TRUE(started == TSS2_RC_SUCCESS || started == TPM2_RC_INITIALIZE);
  }
  void TearDown() override {
    if (esys_ != nullptr) ::Esys_Finalize(&esys_);
    if (tcti_ != nullptr) ::Tss2_TctiLdr_Finalize(&tcti_);
  }

  Made make(const TPM2B_PUBLIC& wanted) {
    const TPM2B_SENSITIVE_CREATE sensitive{};
    const TPM2B_DATA outside{};
    const TPML_PCR_SELECTION no_pcr{};
    TPM2B_PUBLIC* area = nullptr;
    Made out;
    const auto rc = ::Esys_CreatePrimary(esys_, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                         ESYS_TR_NONE, &sensitive, &wanted, &outside, &no_pcr,
                                         &out.handle, &area, nullptr, nullptr, nullptr);
    if (rc != TSS2_RC_SUCCESS) return {};
    out.area.resize(1024);
    std::size_t size = 0;
    EXPECT_EQ(
        ::Tss2_MU_TPMT_PUBLIC_Marshal(&area->publicArea, out.area.data(), out.area.size(), &size),
        TSS2_RC_SUCCESS);
    out.area.resize(size);
    ::Esys_Free(area);
    return out;
  }
  void flush(const Made& made) { (void)::Esys_FlushContext(esys_, made.handle); }

  // The statement in the asked form.
  Bytes statement(const Made& key, const Made& ak, const Algorithm& algorithm, bool as_tpmt) {
    const auto extra = crypto::hash(hash_of(algorithm.hash), view_of(kKeyAuthorization));
    TPM2B_DATA qualifying{};
    qualifying.size = static_cast<UINT16>(extra.size());
    std::copy(extra.begin(), extra.end(), qualifying.buffer);
    TPMT_SIG_SCHEME scheme{};
    scheme.scheme = TPM2_ALG_NULL;
    TPM2B_ATTEST* info = nullptr;
    TPMT_SIGNATURE* signature = nullptr;
    EXPECT_EQ(::Esys_Certify(esys_, key.handle, ak.handle, ESYS_TR_PASSWORD, ESYS_TR_PASSWORD,
                             ESYS_TR_NONE, &qualifying, &scheme, &info, &signature),
              TSS2_RC_SUCCESS);
    if (info == nullptr || signature == nullptr) return {};
    Bytes sig(2048);
    std::size_t size = 0;
    EXPECT_EQ(::Tss2_MU_TPMT_SIGNATURE_Marshal(signature, sig.data(), sig.size(), &size),
              TSS2_RC_SUCCESS);
    sig.resize(size);
    agent::TpmStatementParts parts;
    parts.alg = algorithm.cose;
    parts.sig = as_tpmt ? sig : parse_signature(sig)->signature;
    parts.cert_info.assign(info->attestationData, info->attestationData + info->size);
    parts.pub_area = key.area;
    parts.x5c = {
        maker_.ak_certificate(test::StatementMaker::good(), *parse_public_area(ak.area)->key)};
    ::Esys_Free(info);
    ::Esys_Free(signature);
    return agent::build_attestation_object(parts);
  }
  // The code of the refusal; "" if there is none.
  std::string code(const Bytes& object, bool allow_rs1 = false) const {
    DeviceAttestPolicy policy;
    policy.ak_anchors = {maker_.anchor()};
    policy.tpm_allow_rs1 = allow_rs1;
    const auto result =
        appraise_device(object, {wire::IdentifierType::kPermanentIdentifier, "DEVICE-1"},
                        kKeyAuthorization, policy, maker_.at_utc_ms());
    return result ? "" : result.error().code;
  }

  test::Swtpm device_;
  test::StatementMaker maker_{system_clock().utc_ms()};
  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
  ESYS_CONTEXT* esys_ = nullptr;
};

TEST_F(SwtpmStatement, EachAlgorithmOfAnAk_IsAcceptedInBothForms) {
  const auto key = make(ecc(TPM2_ECC_NIST_P256));
  ASSERT_FALSE(key.area.empty());
  int seen = 0;
  for (const auto& algorithm : kAlgorithms) {
    const auto ak = make(attestation_key(algorithm));
    if (ak.area.empty()) {
      ADD_FAILURE() << "swtpm made no attestation key for " << algorithm.cose;
      continue;
    }
    const bool is_rs1 = algorithm.hash == TPM2_ALG_SHA1;
    for (const bool as_tpmt : {false, true}) {
      const auto object = statement(key, ak, algorithm, as_tpmt);
      EXPECT_EQ(code(object, is_rs1), "") << algorithm.cose << " TPMT " << as_tpmt;
      if (is_rs1) {
        EXPECT_EQ(code(object), "tpm.algorithm");
      }
    }
    flush(ak);
    ++seen;
  }
  EXPECT_EQ(seen, 10);
}

TEST_F(SwtpmStatement, EachHashOfANameAndKindOfKey_IsAcceptedOrRefusedAsTheSignerTakesIt) {
  const auto ak = make(attestation_key(kAlgorithms[0]));
  ASSERT_FALSE(ak.area.empty());
  const auto judged = [&](TPM2B_PUBLIC wanted, TPM2_ALG_ID name_alg) -> std::string {
    wanted.publicArea.nameAlg = name_alg;
    const auto key = make(wanted);
    if (key.area.empty()) return "not offered";
    const auto result = code(statement(key, ak, kAlgorithms[0], false));
    flush(key);
    return result;
  };
  for (const TPM2_ALG_ID name_alg : std::initializer_list<TPM2_ALG_ID>{
           TPM2_ALG_SHA1, TPM2_ALG_SHA256, TPM2_ALG_SHA384, TPM2_ALG_SHA512})
    EXPECT_EQ(judged(ecc(TPM2_ECC_NIST_P256), name_alg), "") << name_alg;
  EXPECT_EQ(judged(ecc(TPM2_ECC_NIST_P384), TPM2_ALG_SHA384), "");
  EXPECT_EQ(judged(ecc(TPM2_ECC_NIST_P521), TPM2_ALG_SHA512), "tpm.key-type");
  EXPECT_EQ(judged(rsa(2048), TPM2_ALG_SHA256), "");
  EXPECT_EQ(judged(rsa(3072), TPM2_ALG_SHA256), "");
}

}  // namespace
}  // namespace keyward::attest
