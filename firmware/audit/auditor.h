// Owns the judgement over an exported ledger, with the root certificate alone: the first broken
// entry and what is wrong with it, or that everything up to the last signed head is whole. Must not
// know tokens, tasks or a running unit. Memory: serials and open intents, about 150 octets for each
// certificate and each head; one row at a time. Threads: functions.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "firmware/audit/bundle.h"
#include "firmware/audit/head.h"
#include "firmware/issue/ledger_reader.h"

namespace keyward::audit {

enum class Flaw : std::uint8_t {
  kDropped = 1,       // rows or heads are missing in the middle
  kChanged = 2,       // a row's octets are not those that were written
  kReordered = 3,     // a row stands where another belongs
  kTruncated = 4,     // rows that a signed head covers are missing at the end
  kForked = 5,        // whole in itself, but not what a signed head (or the older export) says
  kInconsistent = 6,  // what a row says does not fit the rows before
  kForged = 7,      // a certificate that the issuing CA did not sign, an order that no operator did
  kHead = 8,        // a head that no certified audit key signed, or of another chain
  kRolledBack = 9,  // the counter says that heads are missing
};
std::string_view to_string(Flaw flaw);  // "dropped", …, "head", "rolled-back"

struct Finding {
  Flaw flaw{};
  std::string detail;
  std::uint64_t row = 0;     // the first that is not what it must be
  std::uint64_t row_to = 0;  // the same, or the last of those that it may be
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;  // in the segment
  std::optional<std::uint64_t> head;
};

struct KnownHead {
  std::uint64_t number = 0;
  std::uint64_t row = 0;
  Digest256 row_sha256{};
  std::int64_t time_ms = 0;
  std::optional<std::uint64_t> counter;
};

struct AuditReport {
  std::optional<Finding> broken;
  issue::LedgerSummary ledger;  // of the rows before the first flaw
  std::uint64_t heads = 0;      // signed and in order
  std::optional<KnownHead> last_head;
  std::uint64_t unsigned_rows = 0;  // whole, after the last head
  std::uint64_t orders = 0;         // of operators, each verified with the keys in force
  std::vector<std::string> notes;   // what an auditor should ask about
  bool proven() const { return !broken && last_head.has_value(); }
};

struct AuditOptions {
  std::optional<std::uint64_t> counter;  // as the unit's TPM shows it
  // Operators files that the auditor knows of himself, as they are. Not empty: any other in the
  // ledger is a flaw. Empty: those in the ledger are believed, and each is noted.
  std::vector<std::string> operators;
  BundleProgress progress;
  // Heads that somebody kept elsewhere, a line each (heads.jsonl, /v1/audit-head): the export must
  // hold each of them, word for word. One that no audit key of the root signed is kRefused, so that
  // whoever brings it cannot accuse the unit.
  std::string kept_heads{};
};
// Errors: kUnavailable, kBadInput (file, root), kRefused (the issuing CA or the audit key is not the
// root's). A flaw of the ledger is no error.
Result<AuditReport> audit_bundle(Bundle& bundle, std::string_view root_pem,
                                 const AuditOptions& options);
// The first row in which `newer` is not a continuation of `older`; none: it is.
Result<std::optional<Finding>> compare(Bundle& newer, Bundle& older);

// One certificate, as its rows tell it.
struct Issuance {
  issue::LedgerRow intent;
  issue::RowPlace intent_place{};
  std::optional<issue::LedgerRow> outcome;
  issue::RowPlace outcome_place{};
  std::optional<issue::LedgerRow> revocation;
  std::optional<issue::LedgerRow> order;       // the operators' that it was revoked by
  std::vector<std::string> order_signatories;  // their names, as the operators file has them
  std::optional<KnownHead> head;               // the first that covers its outcome
};
// Believes the file: audit it first. Empty: no such serial.
Result<std::optional<Issuance>> find_issuance(Bundle& bundle, ByteView serial);

}  // namespace keyward::audit
