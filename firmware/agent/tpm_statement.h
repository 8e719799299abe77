// Owns the making of a `tpm` attestation object from its parts (device-attest-10 §5, WebAuthn
// §8.3). Must not know a TPM, keys or ACME: it writes what it is told, also what is wrong (tests of
// the verifier). Errors: kBadInput (octets that are not the structure named). Threads: pure
// functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::agent {

// COSE algorithm identifiers (RFC 9053 §2.1, RFC 8812 §2).
inline constexpr std::int64_t kCoseEs256 = -7;
inline constexpr std::int64_t kCoseEs384 = -35;
inline constexpr std::int64_t kCoseRs256 = -257;
inline constexpr std::int64_t kCoseRs384 = -258;

struct StatementAlgorithm {
  std::int64_t cose_alg = 0;
  crypto::HashAlgorithm hash = crypto::HashAlgorithm::kSha256;
  friend bool operator==(const StatementAlgorithm&, const StatementAlgorithm&) = default;
};

// With which algorithm an attestation key signs, from its TPMT_PUBLIC: the scheme that the key is
// bound to. ECDSA and RSASSA with SHA-256 or SHA-384; others are kRefused.
Result<StatementAlgorithm> algorithm_of_ak(ByteView ak_public_area);

// TPMT_SIGNATURE as WebAuthn carries it: ECDSA as DER ECDSA-Sig-Value, RSASSA as the PKCS#1 octets.
struct PlainSignature {
  StatementAlgorithm algorithm;  // what the TPM says it used
  Bytes signature;
};
Result<PlainSignature> plain_signature(ByteView tpmt_signature);

struct TpmStatementParts {
  std::string format = "tpm";
  std::string ver = "2.0";
  std::int64_t alg = kCoseEs256;
  std::vector<Bytes> x5c;          // AK certificate first, DER
  Bytes sig;                       // PlainSignature::signature
  Bytes cert_info;                 // TPMS_ATTEST
  Bytes pub_area;                  // TPMT_PUBLIC
  std::optional<Bytes> auth_data;  // absent, as device-attest-10 wants it
};

// The CBOR map {"fmt", "attStmt"[, "authData"]}: definite lengths, shortest heads.
Bytes build_attestation_object(const TpmStatementParts& parts);

}  // namespace keyward::agent
