// Owns the reading and checking of a ledger directory, by the signer at start and by offline tools.
// Must not write, and must not know tasks or tokens.
//
// Checks: frames, digests, chain of hashes, row numbers without gaps, times that never step back,
// one outcome per intent and after it, orders' ids once, an issued certificate that is the intent's TBS, no serial
// twice, a revocation only of an issued certificate and once, numbers of lists that grow. Not checked here: signatures (verify_issued), and that the end was not cut off (needs a
// signed head). Errors: kCorrupt (any break; native is the row), kUnavailable (cannot read).
// Threads: functions.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "firmware/crypto/crypto.h"
#include "firmware/issue/ledger_rows.h"

namespace keyward::issue {

struct LedgerSummary {
  std::uint64_t rows = 0;
  std::uint64_t intents = 0;
  std::uint64_t issued = 0;
  std::uint64_t failed = 0;
  std::uint64_t abandoned = 0;
  std::uint64_t revoked = 0;
  std::uint64_t lists = 0;  // intents of revocation lists
  std::uint64_t lists_issued = 0;
  std::uint64_t orders = 0;                 // of operators
  std::uint64_t list_number = 0;            // the greatest; 0: none
  std::vector<std::uint64_t> open_intents;  // rows without outcome: under way, or a crash
  std::vector<std::uint64_t> open_lists;    // the same, of lists
  Digest256 head{};                         // hash of the last row
  std::int64_t last_time_ms = 0;
  RowPlace last_place{};                 // of the last row
  std::vector<std::uint64_t> segments;   // first rows, ascending
  std::uint64_t last_segment_bytes = 0;  // whole rows of the last file
  std::uint64_t torn_bytes = 0;          // of the last file: a row that never got whole
  // What the token was asked to sign, certificates and lists: never less than the signatures made.
  std::uint64_t signatures_intended() const { return intents + lists; }
};

// Checks one row after the other against what stands before it, and counts. kCorrupt.
class RowChecker {
 public:
  explicit RowChecker(LedgerSummary& summary);  // outlives the checker
  ~RowChecker();
  Status take(const LedgerRow& row, const Digest256& hash);
  std::vector<std::uint64_t> open_intents() const;
  std::vector<std::uint64_t> open_lists() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

using RowVisitor = std::function<Status(const LedgerRow& row, const RowPlace& place)>;

// A directory without any file is an empty ledger (rows 0). A torn tail is reported, not an error.
Result<LedgerSummary> read_ledger(const std::string& directory, const RowVisitor& visit);

std::string segment_path(const std::string& directory, std::uint64_t first_row);

// The certificate of an issued row: TBS, the AlgorithmIdentifier inside it, signature. kCorrupt.
Result<Bytes> certificate_of(const IntentRow& intent, const OutcomeRow& outcome);

// Reads the whole ledger and verifies every issued certificate with the issuer's key.
Result<LedgerSummary> verify_issued(const std::string& directory,
                                    const crypto::PublicKey& issuer_key);

}  // namespace keyward::issue
