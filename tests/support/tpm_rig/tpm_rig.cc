#include "tests/support/tpm_rig/tpm_rig.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

namespace keyward::test {
namespace {

constexpr TPMA_OBJECT kEkCommon = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                  TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
                                  TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
// PolicyA_SHA256 (PolicySecret(TPM_RH_ENDORSEMENT)), PolicyB_SHA256 and PolicyB_SHA384 (PolicyOR of
// that and PolicyAuthorizeNV): EK Credential Profile 2.5 B.6.
constexpr const char* kPolicyA = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";
constexpr const char* kPolicyB256 =
    "ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0";
constexpr const char* kPolicyB384 =
    "b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e"
    "1"
    "2";

void must(TSS2_RC rc, const char* what) {
  if (rc == TSS2_RC_SUCCESS) return;
  std::fprintf(stderr, "test TPM: %s: 0x%x\n", what, rc);
  std::abort();
}

bool is_high(EkKind kind) { return kind == EkKind::kHighRsa2048 || kind == EkKind::kHighP384; }

TPMT_SYM_DEF_OBJECT aes(std::uint16_t bits) {
  TPMT_SYM_DEF_OBJECT out{};
  out.algorithm = TPM2_ALG_AES;
  out.keyBits.aes = bits;
  out.mode.aes = TPM2_ALG_CFB;
  return out;
}

void set_policy(TPMT_PUBLIC& area, const char* hex) {
  const auto policy = hex_decode(hex);
  area.authPolicy.size = static_cast<UINT16>(policy->size());
  std::copy(policy->begin(), policy->end(), area.authPolicy.buffer);
}

TPM2B_PUBLIC ek_template(EkKind kind) {
  TPM2B_PUBLIC out{};
  auto& area = out.publicArea;
  const bool high = is_high(kind), wide = kind == EkKind::kHighP384;
  area.nameAlg = wide ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256;
  area.objectAttributes = kEkCommon | (high ? TPMA_OBJECT_USERWITHAUTH : 0);
  set_policy(area, wide ? kPolicyB384 : high ? kPolicyB256 : kPolicyA);
  if (kind == EkKind::kRsa2048 || kind == EkKind::kHighRsa2048) {
    area.type = TPM2_ALG_RSA;
    area.parameters.rsaDetail.symmetric = aes(128);
    area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
    area.parameters.rsaDetail.keyBits = 2048;
    area.unique.rsa.size = high ? 0 : 256;  // low range: zeros
    return out;
  }
  area.type = TPM2_ALG_ECC;
  area.parameters.eccDetail.symmetric = aes(wide ? 256 : 128);
  area.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
  area.parameters.eccDetail.curveID = wide ? TPM2_ECC_NIST_P384 : TPM2_ECC_NIST_P256;
  area.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  area.unique.ecc.x.size = area.unique.ecc.y.size = high ? 0 : 32;
  return out;
}

TPM2B_PUBLIC ak_template(bool rsa) {
  TPM2B_PUBLIC out{};
  auto& area = out.publicArea;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                          TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                          TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT;
  if (rsa) {
    area.type = TPM2_ALG_RSA;
    area.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
    area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_RSASSA;
    area.parameters.rsaDetail.scheme.details.rsassa.hashAlg = TPM2_ALG_SHA256;
    area.parameters.rsaDetail.keyBits = 2048;
    return out;
  }
  area.type = TPM2_ALG_ECC;
  area.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
  area.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
  area.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  area.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
  area.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  return out;
}

}  // namespace

struct TpmRig::Impl {
  TSS2_TCTI_CONTEXT* tcti = nullptr;
  ESYS_CONTEXT* esys = nullptr;

  Key make(ESYS_TR hierarchy, const TPM2B_PUBLIC& wanted) {
    const TPM2B_SENSITIVE_CREATE sensitive{};
    const TPM2B_DATA outside{};
    const TPML_PCR_SELECTION no_pcr{};
    TPM2B_PUBLIC* area = nullptr;
    Key out;
    must(::Esys_CreatePrimary(esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                              &sensitive, &wanted, &outside, &no_pcr, &out.handle, &area, nullptr,
                              nullptr, nullptr),
         "CreatePrimary");
    out.area.resize(1024);
    std::size_t size = 0;
    must(::Tss2_MU_TPMT_PUBLIC_Marshal(&area->publicArea, out.area.data(), out.area.size(), &size),
         "marshal");
    out.area.resize(size);
    ::Esys_Free(area);
    return out;
  }

  // What the low range's policy asks for: PolicySecret(TPM_RH_ENDORSEMENT).
  ESYS_TR policy_session() {
    const TPMT_SYM_DEF symmetric{TPM2_ALG_NULL, {}, {}};
    ESYS_TR session = ESYS_TR_NONE;
    must(::Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                 ESYS_TR_NONE, nullptr, TPM2_SE_POLICY, &symmetric, TPM2_ALG_SHA256,
                                 &session),
         "StartAuthSession");
    must(::Esys_PolicySecret(esys, ESYS_TR_RH_ENDORSEMENT, session, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                             ESYS_TR_NONE, nullptr, nullptr, nullptr, 0, nullptr, nullptr),
         "PolicySecret");
    return session;
  }
};

TpmRig::TpmRig(const std::string& tcti) : impl_(std::make_unique<Impl>()) {
  must(::Tss2_TctiLdr_Initialize(tcti.c_str(), &impl_->tcti), "TCTI");
  must(::Esys_Initialize(&impl_->esys, impl_->tcti, nullptr), "ESYS");
  const auto started = ::Esys_Startup(impl_->esys, TPM2_SU_CLEAR);
  if (started != TPM2_RC_INITIALIZE) must(started, "Startup");
}

TpmRig::~TpmRig() {
  ::Esys_Finalize(&impl_->esys);
  ::Tss2_TctiLdr_Finalize(&impl_->tcti);
}

TpmRig::Key TpmRig::make_ek(EkKind kind) {
  return impl_->make(ESYS_TR_RH_ENDORSEMENT, ek_template(kind));
}
TpmRig::Key TpmRig::make_ak(bool rsa) { return impl_->make(ESYS_TR_RH_OWNER, ak_template(rsa)); }
void TpmRig::flush(const Key& key) { (void)::Esys_FlushContext(impl_->esys, key.handle); }

std::optional<Bytes> TpmRig::activate(const Key& ek, EkKind kind, const Key& ak, ByteView id_object,
                                      ByteView encrypted_secret) {
  TPM2B_ID_OBJECT blob{};
  TPM2B_ENCRYPTED_SECRET secret{};
  if (id_object.size() > sizeof blob.credential || encrypted_secret.size() > sizeof secret.secret)
    return std::nullopt;
  blob.size = static_cast<UINT16>(id_object.size());
  std::ranges::copy(id_object, blob.credential);
  secret.size = static_cast<UINT16>(encrypted_secret.size());
  std::ranges::copy(encrypted_secret, secret.secret);
  const ESYS_TR session = is_high(kind) ? ESYS_TR_PASSWORD : impl_->policy_session();
  TPM2B_DIGEST* opened = nullptr;
  const auto rc = ::Esys_ActivateCredential(impl_->esys, ak.handle, ek.handle, ESYS_TR_PASSWORD,
                                            session, ESYS_TR_NONE, &blob, &secret, &opened);
  if (!is_high(kind)) (void)::Esys_FlushContext(impl_->esys, session);
  if (rc != TSS2_RC_SUCCESS) return std::nullopt;
  Bytes out(opened->buffer, opened->buffer + opened->size);
  ::Esys_Free(opened);
  return out;
}

std::optional<Bytes> TpmRig::read_nv(std::uint32_t index) {
  ESYS_TR handle = ESYS_TR_NONE;
  if (::Esys_TR_FromTPMPublic(impl_->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                              &handle) != TSS2_RC_SUCCESS)
    return std::nullopt;
  TPM2B_NV_PUBLIC* area = nullptr;
  must(::Esys_NV_ReadPublic(impl_->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &area,
                            nullptr),
       "NV_ReadPublic");
  const std::size_t size = area->nvPublic.dataSize;
  ::Esys_Free(area);
  constexpr std::size_t kPartBytes = 512;
  Bytes out;
  while (out.size() < size) {
    TPM2B_MAX_NV_BUFFER* part = nullptr;
    must(::Esys_NV_Read(impl_->esys, handle, handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                        static_cast<UINT16>(std::min(kPartBytes, size - out.size())),
                        static_cast<UINT16>(out.size()), &part),
         "NV_Read");
    append(out, {part->buffer, part->size});
    ::Esys_Free(part);
  }
  return out;
}

}  // namespace keyward::test
