// Owns the rules for the certificate of a TPM's endorsement key (TCG EK Credential Profile 2.x §3):
// its chain to vendors' roots, what it says of the TPM, and that a public area is its key's. Must
// not know sessions, credentials or where roots come from. Pure. Threads: any.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "firmware/attest/checks.h"
#include "firmware/attest/make_credential.h"
#include "firmware/attest/refusal.h"
#include "firmware/x509/certificate.h"

namespace keyward::attest {

// When a chain is judged. Vendors let intermediates expire while their TPMs are in the field, so a
// policy may ask whether it held when the certificate was issued.
struct EkTime {
  enum class Kind : std::uint8_t { kNow = 1, kIssuance = 2, kFixed = 3 };
  Kind kind = Kind::kNow;
  std::int64_t fixed_ms = 0;  // UTC; kFixed alone
};
// "now", "issuance", or a time in UTC as RFC 3339 writes it ("2026-01-31T00:00:00Z"). kBadInput.
Result<EkTime> ek_time_from(std::string_view text);

struct EkPolicy {
  std::vector<x509::Certificate> roots;          // trusted
  std::vector<x509::Certificate> intermediates;  // known, not trusted: help to find the way
  EkTime time{};
  std::vector<std::string> manufacturers{};  // "id:49465800" or "IFX"; empty: any
  // SHA-256 of SubjectPublicKeyInfos: endorsement keys that are refused, CAs that no chain leads over.
  std::vector<Digest256> revoked{};
};
Status check_manufacturers(const std::vector<std::string>& manufacturers);  // their form: kBadInput

struct TpmFacts {
  std::string manufacturer;  // 2.23.133.2.1, "id:" and eight hexadecimal digits
  std::string model;         // 2.23.133.2.2, UTF-8, 1..64 octets
  std::string version;       // 2.23.133.2.3, likewise
};

struct AppraisedEk {
  x509::Certificate certificate;
  crypto::PublicKey key;
  TpmFacts tpm;
  Digest256 certificate_sha256{};  // of the DER alone, without what an NV index pads it with
  Digest256 spki_sha256{};
};

// `chain`: further certificates that the device sent, in any order. Passed checks are added to
// `checks`, if it is there. Codes: "ek.certificate", "ek.version", "ek.ca", "ek.eku",
// "ek.key-usage", "ek.key", "ek.san", "ek.manufacturer", "ek.unknown-ca", "ek.expired",
// "ek.not-yet-valid", "ek.revoked", "ek.chain".
Appraised<AppraisedEk> appraise_ek(ByteView certificate, const std::vector<Bytes>& chain,
                                   const EkPolicy& policy, std::int64_t now_ms,
                                   Checks* checks = nullptr);

// The public area (TPMT_PUBLIC) of the endorsement key that the certificate is about; without one
// (empty): the TCG's template for such a key. Codes: "ek.public", "ek.public-key",
// "ek.public-attributes", "ek.public-parameters".
Appraised<EkPublic> check_ek_public(const crypto::PublicKey& certified, ByteView public_area,
                                    Checks* checks = nullptr);

}  // namespace keyward::attest
