// Owns the signer's ledger: what was about to be signed and what came of it, on disk before
// anything leaves (DESIGN §2.7). Must not know policy, tokens or tasks.
//
// append_*() return when the row is durable; concurrent callers share one fdatasync. After a failed
// sync the ledger is broken and refuses every row: the process must end and read the disk again.
// Errors: kUnavailable (disk), kCorrupt (at open: a break other than a torn last row), kInternal.
// Threads: any. Format: docs/ledger.md; why no database: docs/adr/0003-ledger.md.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "firmware/issue/ledger_reader.h"
#include "hal/base/clock.h"

namespace keyward::issue {

class RecordFile;

struct AppendedRow {
  std::uint64_t number = 0;
  std::int64_t time_ms = 0;
  RowPlace place{};
};

// The end of the ledger, all of it on disk.
struct LedgerHead {
  std::uint64_t row = 0;
  Digest256 row_sha256{};
  std::int64_t time_ms = 0;
  RowPlace place{};
};

// A row that is on disk, for whoever says so elsewhere. Any thread; not in the order of numbers.
struct RowNews {
  std::uint64_t number = 0;
  RowKind kind{};
  Digest256 sha256{};  // the row's hash, which the next row carries on
};
using RowNote = std::function<void(const RowNews& news)>;
std::string_view to_string(RowKind kind);

class Ledger {
 public:
  struct Options {
    std::size_t segment_bytes_max = limits::kLedgerSegmentBytesMax;  // tests take less
    RowNote note;                                                    // empty: nobody is told
  };
  // Reads everything (visiting each row), cuts a torn last row, writes the genesis row into an
  // empty ledger, and closes intents without outcome as abandoned (visited as well).
  static Result<std::unique_ptr<Ledger>> open(const std::string& directory, const Clock& clock,
                                              const RowVisitor& visit, const Options& options);
  ~Ledger();

  Result<AppendedRow> append_intent(const IntentRow& intent);
  Result<AppendedRow> append_outcome(const OutcomeRow& outcome);
  Result<AppendedRow> append_revocation(const RevocationRow& revocation);
  Result<AppendedRow> append_cancellation(const CancellationRow& cancellation);
  Result<AppendedRow> append_list_intent(const ListIntentRow& intent);
  Result<AppendedRow> append_list_outcome(const ListOutcomeRow& outcome);
  Result<AppendedRow> append_operators(const OperatorsRow& operators);
  Result<AppendedRow> append_operator_order(const OperatorOrderRow& order);
  Result<LedgerRow> read(const RowPlace& place) const;

  std::int64_t last_time_ms() const;  // the floor of trusted time
  std::uint64_t rows() const;
  Digest256 head() const;
  Result<LedgerHead> durable_head() const;  // what a head may be signed over
  std::uint64_t torn_bytes_cut() const { return torn_bytes_cut_; }
  bool broken() const;

 private:
  Ledger(std::string directory, const Clock& clock, const Options& options);
  Status recover(const LedgerSummary& summary, const RowVisitor& visit);
  Result<AppendedRow> append(LedgerRow row);
  Status start_segment();

  std::string directory_;
  const Clock& clock_;
  Options options_;
  std::uint64_t torn_bytes_cut_ = 0;
  mutable std::mutex mutex_;  // orders rows: number, previous hash and place belong together
  std::shared_ptr<RecordFile> file_;
  std::uint64_t segment_ = 0;
  std::uint64_t rows_ = 0;
  Digest256 head_{};
  RowPlace last_place_{};
  std::int64_t last_time_ms_ = 0;
};

}  // namespace keyward::issue
