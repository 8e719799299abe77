// Owns the evidence "application/vnd.keyward.tpm-quote+cbor": a TPM's quote, the registers that it
// is over, and the firmware's event log. Must not know reference values.
//
// Order: shape -> AK certificate -> signature -> TPMS_ATTEST -> pcrDigest -> freshness. Codes:
// "quote.malformed", "quote.members", "quote.pcrs" (values that are no digests), "ak.*",
// "quote.signature-form", "quote.signature-hash" (SHA-1), "quote.signature", "quote.attest",
// "quote.selection" (values missing, or not quoted), "quote.pcr-digest", "quote.extra-data".
// Threads: pure functions.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "firmware/appraise/event_log.h"
#include "firmware/attest/ak_certificate.h"
#include "firmware/attest/checks.h"

namespace keyward::appraise {

inline constexpr std::string_view kTpmQuoteMediaType = "application/vnd.keyward.tpm-quote+cbor";

struct QuoteRecord {
  Bytes quoted;            // TPMS_ATTEST
  Bytes sig;               // TPMT_SIGNATURE
  std::vector<Bytes> x5c;  // the AK's certificate first
  BankValues pcrs;
  std::optional<Bytes> event_log;
};
// CBOR map: "quoted", "sig", "x5c", "pcrs", and "eventlog" if there is one; nothing else.
Appraised<QuoteRecord> parse_quote_record(ByteView cbor);
Bytes write_quote_record(const QuoteRecord& record);

// What the evidence must answer.
struct Fresh {
  std::string token;              // the freshness nonce, as the challenge shows it
  std::string key_authorization;  // token "." thumbprint; empty: no account to bind to
  Bytes octets;                   // instead of both (keyward-attest): exactly these
};
enum class Freshness : std::uint8_t { kNone = 0, kNonce = 1, kAccount = 2 };
// extraData holds at most a digest: the token's octets, its text, or SHA-256 of either (D-R3); SHA-256
// of the key authorization for the account (D-R7).
Freshness freshness_of_extra_data(ByteView extra_data, const Fresh& fresh);

struct VerifiedQuote {
  BankValues pcrs;  // vouched for by the TPM
  Freshness freshness = Freshness::kNone;
  crypto::PublicKey ak;
  std::vector<wire::Identifier> devices;  // that the AK certificate names
  std::optional<Bytes> ak_serial;         // of the AK certificate
};
Appraised<VerifiedQuote> verify_quote(const QuoteRecord& record,
                                      const std::vector<x509::Certificate>& ak_roots,
                                      const Fresh& fresh, std::int64_t at_utc_ms,
                                      attest::Checks* checks = nullptr);

}  // namespace keyward::appraise
