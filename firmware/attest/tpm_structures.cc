#include "firmware/attest/tpm_structures.h"

#include <algorithm>

#include <stdlib.h>
#include <tss2/tss2_mu.h>

#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

// tss2-mu writes a line to standard error for each bad input unless told not to before its first
// use.
void silence_tss_log() {
  static const bool done = [] {
    ::setenv("TSS2_LOG", "all+none",
             0);  // NOLINT(concurrency-mt-unsafe): first use, before worker threads differ
    return true;
  }();
  (void)done;
}

std::optional<crypto::HashAlgorithm> hash_of(std::uint16_t algorithm) {
  switch (algorithm) {
    // A SHA-1 name stands for a key made inside the TPM, whose random numbers come last in the public
    // area: to swap it takes a second preimage, not a collision.
    case TPM2_ALG_SHA1:
      return crypto::HashAlgorithm::kSha1;
    case TPM2_ALG_SHA256:
      return crypto::HashAlgorithm::kSha256;
    case TPM2_ALG_SHA384:
      return crypto::HashAlgorithm::kSha384;
    case TPM2_ALG_SHA512:
      return crypto::HashAlgorithm::kSha512;
    default:
      return std::nullopt;
  }
}

// Left as they are unless there is a cipher: tss2-mu reads nothing behind TPM_ALG_NULL.
void read_symmetric(const TPMT_SYM_DEF_OBJECT& symmetric, TpmPublicArea& out) {
  out.symmetric_alg = symmetric.algorithm;
  if (symmetric.algorithm == TPM2_ALG_NULL) return;
  out.symmetric_mode = symmetric.mode.sym;
  out.symmetric_bits = symmetric.keyBits.sym;
}

void read_rsa(const TPMT_PUBLIC& area, TpmPublicArea& out) {
  out.is_rsa = true;
  out.bits = area.parameters.rsaDetail.keyBits;
  const std::uint32_t exponent =
      area.parameters.rsaDetail.exponent == 0 ? 65'537 : area.parameters.rsaDetail.exponent;
  Bytes exponent_bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    if (exponent >> shift != 0)
      exponent_bytes.push_back(static_cast<std::uint8_t>(exponent >> shift));
  }
  const auto& modulus = area.unique.rsa;
  if (modulus.size * 8 != out.bits) return;
  auto key = crypto::PublicKey::from_rsa({modulus.buffer, modulus.size}, exponent_bytes);
  if (key) out.key = *key;
}

Bytes padded(const TPM2B_ECC_PARAMETER& coordinate, std::size_t size_bytes) {
  if (coordinate.size > size_bytes) return {};
  Bytes out(size_bytes - coordinate.size, 0);
  append(out, {coordinate.buffer, coordinate.size});
  return out;
}

void read_ecc(const TPMT_PUBLIC& area, TpmPublicArea& out) {
  crypto::KeyKind kind{};
  std::size_t size_bytes = 0;
  switch (area.parameters.eccDetail.curveID) {
    case TPM2_ECC_NIST_P256:
      kind = crypto::KeyKind::kEcP256, size_bytes = 32, out.bits = 256;
      break;
    case TPM2_ECC_NIST_P384:
      kind = crypto::KeyKind::kEcP384, size_bytes = 48, out.bits = 384;
      break;
    default:
      return;  // P-521 too: the signer takes no such CSR key, and the device should hear it here
  }
  auto key = crypto::PublicKey::from_ec(kind, padded(area.unique.ecc.x, size_bytes),
                                        padded(area.unique.ecc.y, size_bytes));
  if (key) out.key = *key;
}

// r and s are written without leading zeros; at least one octet each.
Result<Bytes> ecdsa_der(const TPMS_SIGNATURE_ECDSA& signature) {
  const auto& r = signature.signatureR;
  const auto& s = signature.signatureS;
  if (r.size == 0 || s.size == 0)
    return fail(ErrorKind::kBadInput, "TPMT_SIGNATURE: an ECDSA number is empty");
  const std::size_t size_bytes = std::max(r.size, s.size);
  Bytes raw = padded(r, size_bytes);
  append(raw, padded(s, size_bytes));
  return crypto::ecdsa_raw_to_der(raw);
}

// TPMS_PCR_SELECTION: bit n of octet i is register 8i + n (Part 2 §10.6.1).
Result<TpmPcrSelection> read_selection(const TPMS_PCR_SELECTION& selection) {
  const auto bank = hash_of(selection.hash);
  if (!bank) return fail(ErrorKind::kBadInput, "quoted: a bank of an unknown hash", selection.hash);
  TpmPcrSelection out{*bank, {}};
  constexpr unsigned kRegisters = 24;  // of the PC client profile
  for (unsigned octet = 0; octet < selection.sizeofSelect; ++octet) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      if ((selection.pcrSelect[octet] >> bit & 1u) == 0) continue;
      if (octet * 8 + bit >= kRegisters)
        return fail(ErrorKind::kBadInput, "quoted: a register beyond 23");
      out.pcrs.push_back(octet * 8 + bit);
    }
  }
  return out;
}

Result<std::vector<TpmPcrSelection>> read_selections(const TPML_PCR_SELECTION& list) {
  std::vector<TpmPcrSelection> out;
  for (UINT32 i = 0; i < list.count; ++i) {
    KEYWARD_TRY(selection, read_selection(list.pcrSelections[i]));
    if (selection.pcrs.empty()) continue;
    const bool twice =
        std::ranges::any_of(out, [&](const auto& other) { return other.bank == selection.bank; });
    if (twice) return fail(ErrorKind::kBadInput, "quoted: a bank is selected twice");
    out.push_back(std::move(selection));
  }
  if (out.empty()) return fail(ErrorKind::kBadInput, "quoted: no register is selected");
  return out;
}

}  // namespace

Result<TpmQuoteInfo> parse_quote_info(ByteView quoted) {
  silence_tss_log();
  if (quoted.size() > limits::kTpmStructureBytesMax)
    return fail(ErrorKind::kBadInput, "quoted: too long");
  TPMS_ATTEST attest{};
  std::size_t offset = 0;
  const TSS2_RC rc =
      ::Tss2_MU_TPMS_ATTEST_Unmarshal(quoted.data(), quoted.size(), &offset, &attest);
  if (rc != TSS2_RC_SUCCESS) return fail(ErrorKind::kBadInput, "quoted: not a TPMS_ATTEST", rc);
  if (attest.magic != TPM2_GENERATED_VALUE)
    return fail(ErrorKind::kBadInput, "quoted: magic is not TPM_GENERATED_VALUE", attest.magic);
  if (attest.type != TPM2_ST_ATTEST_QUOTE)
    return fail(ErrorKind::kBadInput, "quoted: type is not TPM_ST_ATTEST_QUOTE", attest.type);
  if (offset != quoted.size())
    return fail(ErrorKind::kBadInput, "quoted: octets behind the structure");
  const auto& quote = attest.attested.quote;
  KEYWARD_TRY(selections, read_selections(quote.pcrSelect));
  return TpmQuoteInfo{
      Bytes(attest.extraData.buffer, attest.extraData.buffer + attest.extraData.size),
      std::move(selections),
      Bytes(quote.pcrDigest.buffer, quote.pcrDigest.buffer + quote.pcrDigest.size)};
}

Result<TpmCertifyInfo> parse_certify_info(ByteView certify_info) {
  silence_tss_log();
  if (certify_info.size() > limits::kTpmStructureBytesMax)
    return fail(ErrorKind::kBadInput, "certInfo: too long");
  TPMS_ATTEST attest{};
  std::size_t offset = 0;
  const TSS2_RC rc =
      ::Tss2_MU_TPMS_ATTEST_Unmarshal(certify_info.data(), certify_info.size(), &offset, &attest);
  if (rc != TSS2_RC_SUCCESS) return fail(ErrorKind::kBadInput, "certInfo: not a TPMS_ATTEST", rc);
  if (attest.magic != TPM2_GENERATED_VALUE)
    return fail(ErrorKind::kBadInput, "certInfo: magic is not TPM_GENERATED_VALUE", attest.magic);
  if (attest.type != TPM2_ST_ATTEST_CERTIFY)
    return fail(ErrorKind::kBadInput, "certInfo: type is not TPM_ST_ATTEST_CERTIFY", attest.type);
  if (offset != certify_info.size())
    return fail(ErrorKind::kBadInput, "certInfo: octets behind the structure");
  const auto& certified = attest.attested.certify.name;
  return TpmCertifyInfo{
      Bytes(attest.extraData.buffer, attest.extraData.buffer + attest.extraData.size),
      Bytes(certified.name, certified.name + certified.size)};
}

Result<TpmPublicArea> parse_public_area(ByteView public_area) {
  silence_tss_log();
  if (public_area.size() > limits::kTpmStructureBytesMax)
    return fail(ErrorKind::kBadInput, "pubArea: too long");
  TPMT_PUBLIC area{};
  std::size_t offset = 0;
  const TSS2_RC rc =
      ::Tss2_MU_TPMT_PUBLIC_Unmarshal(public_area.data(), public_area.size(), &offset, &area);
  if (rc != TSS2_RC_SUCCESS) return fail(ErrorKind::kBadInput, "pubArea: not a TPMT_PUBLIC", rc);
  if (offset != public_area.size())
    return fail(ErrorKind::kBadInput, "pubArea: octets behind the structure");
  TpmPublicArea out;
  out.name_alg = area.nameAlg;
  const auto bit = [&](TPMA_OBJECT mask) { return (area.objectAttributes & mask) != 0; };
  out.attributes = {bit(TPMA_OBJECT_FIXEDTPM),
                    bit(TPMA_OBJECT_FIXEDPARENT),
                    bit(TPMA_OBJECT_SENSITIVEDATAORIGIN),
                    bit(TPMA_OBJECT_RESTRICTED),
                    bit(TPMA_OBJECT_DECRYPT),
                    bit(TPMA_OBJECT_SIGN_ENCRYPT)};
  if (area.type == TPM2_ALG_RSA) {
    read_rsa(area, out);
    out.scheme = area.parameters.rsaDetail.scheme.scheme;
    read_symmetric(area.parameters.rsaDetail.symmetric, out);
  } else if (area.type == TPM2_ALG_ECC) {
    read_ecc(area, out);
    out.scheme = area.parameters.eccDetail.scheme.scheme;
    read_symmetric(area.parameters.eccDetail.symmetric, out);
  }
  if (const auto hash = hash_of(area.nameAlg)) {
    out.computed_name = {static_cast<std::uint8_t>(area.nameAlg >> 8),
                         static_cast<std::uint8_t>(area.nameAlg & 0xff)};
    append(out.computed_name, crypto::hash(*hash, public_area));
  }
  return out;
}

Result<TpmSignature> parse_signature(ByteView tpmt_signature) {
  silence_tss_log();
  if (tpmt_signature.size() > limits::kTpmStructureBytesMax)
    return fail(ErrorKind::kBadInput, "TPMT_SIGNATURE: too long");
  TPMT_SIGNATURE read{};
  std::size_t offset = 0;
  const TSS2_RC rc = ::Tss2_MU_TPMT_SIGNATURE_Unmarshal(tpmt_signature.data(),
                                                        tpmt_signature.size(), &offset, &read);
  if (rc != TSS2_RC_SUCCESS) return fail(ErrorKind::kBadInput, "TPMT_SIGNATURE: not readable", rc);
  if (offset != tpmt_signature.size())
    return fail(ErrorKind::kBadInput, "TPMT_SIGNATURE: octets behind the structure");
  const auto hash = hash_of(read.signature.any.hashAlg);
  if (!hash) return fail(ErrorKind::kBadInput, "TPMT_SIGNATURE: unknown hash");
  TpmSignature out;
  out.hash = *hash;
  if (read.sigAlg == TPM2_ALG_ECDSA) {
    out.scheme = crypto::SignatureScheme::kEcdsa;
    KEYWARD_TRY(der, ecdsa_der(read.signature.ecdsa));
    out.signature = std::move(der);
    return out;
  }
  if (read.sigAlg != TPM2_ALG_RSASSA && read.sigAlg != TPM2_ALG_RSAPSS)
    return fail(ErrorKind::kBadInput, "TPMT_SIGNATURE: a scheme that is not used here");
  out.scheme = read.sigAlg == TPM2_ALG_RSASSA ? crypto::SignatureScheme::kRsaPkcs1
                                              : crypto::SignatureScheme::kRsaPss;
  const auto& octets = read.signature.rsassa.sig;  // TPMS_SIGNATURE_RSAPSS is the same structure
  out.signature.assign(octets.buffer, octets.buffer + octets.size);
  return out;
}

}  // namespace keyward::attest
