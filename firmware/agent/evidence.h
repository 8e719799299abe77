// Owns the making of evidence about the state of this device's platform: a TPM quote with the
// registers' values and the firmware's event log, as a CMW record (docs/attestation.md; TCG PC Client
// Platform Firmware Profile §10; draft-ietf-rats-msg-wrap §3.1). Must not know ACME or files. Errors:
// those of the TPM; kBadInput (a list of registers that is none). Threads: functions; the TPM's rule.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/tpm.h"

namespace keyward::agent {

// The media type of such a record, and its place among conceptual messages (evidence).
inline constexpr std::string_view kQuoteMediaType = "application/vnd.keyward.tpm-quote+cbor";
inline constexpr int kCmwEvidence = 4;

// "sha256:0,1,7" or "0,1,7" (SHA-256), also sha1 and sha384: kBadInput otherwise.
Result<hal::PcrSelection> selection_from(std::string_view text);

struct QuoteRequest {
  hal::PcrSelection selection;
  Bytes qualifying_data;        // extraData: what makes the quote fresh
  std::vector<Bytes> ak_chain;  // DER, the attestation key's own certificate first
  Bytes event_log;              // empty: none is sent
};
// The record's value: a CBOR map in its shortest form. A register that changes between the reading
// and the quote makes evidence that nobody believes: the caller may try again.
Result<Bytes> make_quote_record(hal::Tpm& tpm, hal::TpmObject& ak, const QuoteRequest& request);

// ["media type", "base64url"[, ind]]; 0: no word about what it is.
std::string cmw_record(std::string_view media_type, ByteView value, int ind);

// The record for the holder of this public key alone: a compact JWE (RFC 7516), ECDH-ES+A256KW for
// P-256, RSA-OAEP-256 for RSA, A256GCM. kBadInput: no JWK of these kinds.
Result<std::string> encrypt_record(std::string_view jwk_json, std::string_view record);

}  // namespace keyward::agent
