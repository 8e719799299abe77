// Owns the reading of TPM structures that a device sends (TCG TPM 2.0 Part 2), through tss2-mu.
// Must not know policy beyond what makes a structure well-formed. tss2-mu accepts a wrong magic,
// other attest types and trailing octets (field notes): these are refused here.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::attest {

struct TpmCertifyInfo {  // TPMS_ATTEST of type TPM_ST_ATTEST_CERTIFY
  Bytes extra_data;
  Bytes name;  // nameAlg || digest of the certified object
};
// kBadInput: "certInfo: ..." static texts.
Result<TpmCertifyInfo> parse_certify_info(ByteView certify_info);

struct TpmPcrSelection {
  crypto::HashAlgorithm bank{};
  std::vector<unsigned> pcrs;  // ascending, 0..23
};
struct TpmQuoteInfo {  // TPMS_ATTEST of type TPM_ST_ATTEST_QUOTE
  Bytes extra_data;
  std::vector<TpmPcrSelection> selections;  // in the TPM's order; at least one register in all
  Bytes pcr_digest;
};
// kBadInput: "quoted: ..." static texts.
Result<TpmQuoteInfo> parse_quote_info(ByteView quoted);

struct TpmObjectAttributes {
  bool fixed_tpm = false;
  bool fixed_parent = false;
  bool sensitive_data_origin = false;
  bool restricted = false;
  bool decrypt = false;
  bool sign = false;
};

struct TpmPublicArea {         // TPMT_PUBLIC without the TPM2B length
  std::uint16_t name_alg = 0;  // TPM_ALG_ID
  TpmObjectAttributes attributes;
  bool is_rsa = false;
  int bits = 0;                     // RSA: modulus; ECC: curve
  std::uint16_t scheme = 0;         // TPM_ALG_ID of its signing scheme; TPM_ALG_NULL: none
  std::uint16_t symmetric_alg = 0;  // of a storage key; TPM_ALG_NULL: none
  std::uint16_t symmetric_mode = 0;
  int symmetric_bits = 0;
  std::optional<crypto::PublicKey> key;  // absent: a type, size or curve that we do not take
  Bytes computed_name;  // name_alg || H(public area); empty for a name_alg we do not take
};
Result<TpmPublicArea> parse_public_area(ByteView public_area);

struct TpmSignature {  // TPMT_SIGNATURE
  crypto::SignatureScheme scheme{};
  crypto::HashAlgorithm hash{};
  Bytes signature;  // ECDSA as DER ECDSA-Sig-Value, RSA as octets
};
// RSASSA, RSAPSS and ECDSA alone. kBadInput: "TPMT_SIGNATURE: ..." static texts.
Result<TpmSignature> parse_signature(ByteView tpmt_signature);

}  // namespace keyward::attest
