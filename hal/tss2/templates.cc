// Public areas of EK, SRK, keys, sealed data, counter: see templates.h.
#include "hal/tss2/templates.h"

#include <algorithm>
#include <cstring>

namespace keyward::hal::tss2 {
namespace {

// EK Credential Profile §B.6.2: PolicySecret(TPM_RH_ENDORSEMENT), SHA-256 ("PolicyA").
constexpr BYTE kEkPolicyA[32] = {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
                                 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
                                 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};

constexpr TPMA_OBJECT kStorage = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                 TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |
                                 TPMA_OBJECT_DECRYPT;

TPMT_SYM_DEF_OBJECT aes_128_cfb() {
  TPMT_SYM_DEF_OBJECT out{};
  out.algorithm = TPM2_ALG_AES;
  out.keyBits.aes = 128;
  out.mode.aes = TPM2_ALG_CFB;
  return out;
}

void set_ecc(TPMT_PUBLIC& area, TPM2_ECC_CURVE curve) {
  area.type = TPM2_ALG_ECC;
  auto& ecc = area.parameters.eccDetail;
  ecc.symmetric.algorithm = TPM2_ALG_NULL;
  ecc.scheme.scheme = TPM2_ALG_NULL;
  ecc.curveID = curve;
  ecc.kdf.scheme = TPM2_ALG_NULL;
}

void set_rsa(TPMT_PUBLIC& area, UINT16 bits) {
  area.type = TPM2_ALG_RSA;
  auto& rsa = area.parameters.rsaDetail;
  rsa.symmetric.algorithm = TPM2_ALG_NULL;
  rsa.scheme.scheme = TPM2_ALG_NULL;
  rsa.keyBits = bits;
  rsa.exponent = 0;  // 65537
}

Status set_type(TPMT_PUBLIC& area, TpmKeyType type) {
  switch (type) {
    case TpmKeyType::kEccP256:
      set_ecc(area, TPM2_ECC_NIST_P256);
      return {};
    case TpmKeyType::kEccP384:
      set_ecc(area, TPM2_ECC_NIST_P384);
      return {};
    case TpmKeyType::kRsa2048:
      set_rsa(area, 2048);
      return {};
    case TpmKeyType::kRsa1024ForTests:
      set_rsa(area, 1024);
      return {};
  }
  return fail(ErrorKind::kBadInput, "tpm: unknown key type");
}

// A restricted key signs nothing but what the TPM made, with the one scheme that stands in it.
void set_attestation_scheme(TPMT_PUBLIC& area, TpmKeyType type) {
  if (area.type == TPM2_ALG_RSA) {
    area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_RSASSA;
    area.parameters.rsaDetail.scheme.details.rsassa.hashAlg = TPM2_ALG_SHA256;
    return;
  }
  auto& scheme = area.parameters.eccDetail.scheme;
  scheme.scheme = TPM2_ALG_ECDSA;
  scheme.details.ecdsa.hashAlg = type == TpmKeyType::kEccP384 ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256;
}

}  // namespace

TPM2B_PUBLIC srk_template() {
  TPM2B_PUBLIC out{};
  auto& area = out.publicArea;
  set_ecc(area, TPM2_ECC_NIST_P256);
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = kStorage | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA;
  area.parameters.eccDetail.symmetric = aes_128_cfb();
  return out;
}

Result<TPM2B_PUBLIC> ek_template(TpmKeyType type) {
  TPM2B_PUBLIC out{};
  auto& area = out.publicArea;
  KEYWARD_CHECK(set_type(area, type));
  area.nameAlg = TPM2_ALG_SHA256;
  // No userWithAuth: an EK is used through its policy alone, which dictionary-attack protection
  // does not count; so the template needs no noDA.
  area.objectAttributes = kStorage | TPMA_OBJECT_ADMINWITHPOLICY;
  area.authPolicy.size = sizeof kEkPolicyA;
  std::memcpy(area.authPolicy.buffer, kEkPolicyA, sizeof kEkPolicyA);
  if (type == TpmKeyType::kRsa2048) {
    area.parameters.rsaDetail.symmetric = aes_128_cfb();
    area.unique.rsa.size = 256;  // zeros, as the profile writes them
    return out;
  }
  if (type == TpmKeyType::kEccP256) {
    area.parameters.eccDetail.symmetric = aes_128_cfb();
    area.unique.ecc.x.size = 32;
    area.unique.ecc.y.size = 32;
    return out;
  }
  return fail(ErrorKind::kBadInput, "tpm: no EK template of this type");
}

Result<TPM2B_PUBLIC> key_template(const TpmKeyTemplate& wanted) {
  TPM2B_PUBLIC out{};
  auto& area = out.publicArea;
  KEYWARD_CHECK(set_type(area, wanted.type));
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes =
      TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT;
  // Under a parent with fixedTPM a child that may leave must clear both (Structures §8.3.3).
  if (wanted.fixed_tpm) area.objectAttributes |= TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT;
  if (wanted.no_da) area.objectAttributes |= TPMA_OBJECT_NODA;
  if (wanted.restricted) {
    area.objectAttributes |= TPMA_OBJECT_RESTRICTED;
    set_attestation_scheme(area, wanted.type);
  }
  return out;
}

TPM2B_PUBLIC sealed_template(const TPM2B_DIGEST& policy) {
  TPM2B_PUBLIC out{};
  auto& area = out.publicArea;
  area.type = TPM2_ALG_KEYEDHASH;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA;
  area.authPolicy = policy;
  area.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
  return out;
}

TPM2B_NV_PUBLIC counter_template(TPM2_HANDLE index) {
  TPM2B_NV_PUBLIC out{};
  out.nvPublic.nvIndex = index;
  out.nvPublic.nameAlg = TPM2_ALG_SHA256;
  out.nvPublic.attributes = (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT) | TPMA_NV_AUTHREAD |
                            TPMA_NV_AUTHWRITE | TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE |
                            TPMA_NV_NO_DA;
  out.nvPublic.dataSize = 8;
  return out;
}

}  // namespace keyward::hal::tss2
