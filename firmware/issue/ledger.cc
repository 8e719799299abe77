#include "firmware/issue/ledger.h"

#include <algorithm>

#include "firmware/issue/record_file.h"
#include "hal/base/file.h"
#include "hal/base/rng.h"

namespace keyward::issue {

std::string_view to_string(RowKind kind) {
  switch (kind) {
    case RowKind::kGenesis:
      return "genesis";
    case RowKind::kIntent:
      return "intent";
    case RowKind::kOutcome:
      return "outcome";
    case RowKind::kRevocation:
      return "revocation";
    case RowKind::kCancellation:
      return "cancellation";
    case RowKind::kListIntent:
      return "list_intent";
    case RowKind::kListOutcome:
      return "list_outcome";
    case RowKind::kOperators:
      return "operators";
    case RowKind::kOperatorOrder:
      return "operator_order";
  }
  return "unknown";
}

Ledger::Ledger(std::string directory, const Clock& clock, const Options& options)
    : directory_(std::move(directory)), clock_(clock), options_(options) {}

Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::open(const std::string& directory, const Clock& clock,
                                             const RowVisitor& visit, const Options& options) {
  KEYWARD_CHECK(make_directories(directory, 0700));
  auto summary = read_ledger(directory, visit);
  if (!summary) return fail(summary.error());
  std::unique_ptr<Ledger> ledger(new Ledger(directory, clock, options));
  KEYWARD_CHECK(ledger->recover(*summary, visit));
  return ledger;
}

Status Ledger::recover(const LedgerSummary& summary, const RowVisitor& visit) {
  rows_ = summary.rows;
  head_ = summary.head;
  last_time_ms_ = summary.last_time_ms;
  last_place_ = summary.last_place;
  torn_bytes_cut_ = summary.torn_bytes;
  if (!summary.segments.empty()) {
    segment_ = summary.segments.back();
    KEYWARD_TRY(file, RecordFile::open(segment_path(directory_, segment_),
                                       limits::kLedgerRowBytesMax, summary.last_segment_bytes));
    file_ = file;
  } else {
    KEYWARD_CHECK(start_segment());
  }
  const auto write = [&](LedgerRow row) -> Status {
    KEYWARD_TRY(appended, append(row));
    row.number = appended.number;
    row.time_ms = appended.time_ms;
    return visit(row, appended.place);
  };
  if (rows_ == 0) {
    LedgerRow row;
    row.kind = RowKind::kGenesis;
    row.genesis = GenesisRow{"keyward-ledger-1", {}};
    random_fill(row.genesis->ledger_id);
    KEYWARD_CHECK(write(row));
  }
  for (const auto intent_row : summary.open_intents) {
    LedgerRow row;
    row.kind = RowKind::kOutcome;
    row.outcome =
        OutcomeRow{intent_row, OutcomeResult::kAbandoned, std::nullopt, std::nullopt, std::nullopt};
    KEYWARD_CHECK(write(row));
  }
  for (const auto intent_row : summary.open_lists) {
    LedgerRow row;
    row.kind = RowKind::kListOutcome;
    row.list_outcome =
        ListOutcomeRow{intent_row, OutcomeResult::kAbandoned, std::nullopt, std::nullopt};
    KEYWARD_CHECK(write(row));
  }
  return {};
}

Status Ledger::start_segment() {
  KEYWARD_TRY(file,
              RecordFile::open(segment_path(directory_, rows_), limits::kLedgerRowBytesMax, 0));
  file_ = file;
  segment_ = rows_;
  return {};
}

Result<AppendedRow> Ledger::append(LedgerRow row) {
  std::shared_ptr<RecordFile> file;
  AppendedRow appended;
  RowNews news;
  std::uint64_t end = 0;
  {
    const std::lock_guard lock(mutex_);
    if (file_->size_bytes() >= options_.segment_bytes_max) {
      KEYWARD_CHECK(file_->sync(
          file_->size_bytes()));  // a later segment on disk implies the whole earlier one
      KEYWARD_CHECK(start_segment());
    }
    row.number = rows_;
    row.previous = head_;
    row.time_ms = std::max(clock_.utc_ms(), last_time_ms_);
    const Bytes body = wire::encode_body(row);
    KEYWARD_TRY(place, file_->append(body));
    appended = {row.number, row.time_ms, RowPlace{segment_, place.offset}};
    head_ = place.digest;
    news = {row.number, row.kind, head_};
    last_place_ = appended.place;
    last_time_ms_ = row.time_ms;
    ++rows_;
    file = file_;
    end = place.end;
  }
  KEYWARD_CHECK(file->sync(end));
  if (options_.note) options_.note(news);
  return appended;
}

Result<AppendedRow> Ledger::append_intent(const IntentRow& intent) {
  LedgerRow row;
  row.kind = RowKind::kIntent;
  row.intent = intent;
  return append(std::move(row));
}

Result<AppendedRow> Ledger::append_outcome(const OutcomeRow& outcome) {
  LedgerRow row;
  row.kind = RowKind::kOutcome;
  row.outcome = outcome;
  return append(std::move(row));
}

Result<AppendedRow> Ledger::append_revocation(const RevocationRow& revocation) {
  LedgerRow row;
  row.kind = RowKind::kRevocation;
  row.revocation = revocation;
  return append(std::move(row));
}

Result<AppendedRow> Ledger::append_cancellation(const CancellationRow& cancellation) {
  LedgerRow row;
  row.kind = RowKind::kCancellation;
  row.cancellation = cancellation;
  return append(std::move(row));
}

Result<AppendedRow> Ledger::append_list_intent(const ListIntentRow& intent) {
  LedgerRow row;
  row.kind = RowKind::kListIntent;
  row.list_intent = intent;
  return append(std::move(row));
}

Result<AppendedRow> Ledger::append_list_outcome(const ListOutcomeRow& outcome) {
  LedgerRow row;
  row.kind = RowKind::kListOutcome;
  row.list_outcome = outcome;
  return append(std::move(row));
}

Result<AppendedRow> Ledger::append_operators(const OperatorsRow& operators) {
  LedgerRow row;
  row.kind = RowKind::kOperators;
  row.operators = operators;
  return append(std::move(row));
}

Result<AppendedRow> Ledger::append_operator_order(const OperatorOrderRow& order) {
  LedgerRow row;
  row.kind = RowKind::kOperatorOrder;
  row.operator_order = order;
  return append(std::move(row));
}

Result<LedgerRow> Ledger::read(const RowPlace& place) const {
  std::shared_ptr<RecordFile> file;
  {
    const std::lock_guard lock(mutex_);
    if (place.segment == segment_) file = file_;
  }
  if (!file) {
    if (!file_exists(segment_path(directory_, place.segment)))
      return fail(ErrorKind::kUnavailable, "a ledger segment is not here");
    KEYWARD_TRY(opened, RecordFile::open(segment_path(directory_, place.segment),
                                         limits::kLedgerRowBytesMax, UINT64_MAX));
    file = opened;
  }
  KEYWARD_TRY(body, file->read(place.offset));
  return wire::decode_body<LedgerRow>(body);
}

std::int64_t Ledger::last_time_ms() const {
  const std::lock_guard lock(mutex_);
  return last_time_ms_;
}

std::uint64_t Ledger::rows() const {
  const std::lock_guard lock(mutex_);
  return rows_;
}

Digest256 Ledger::head() const {
  const std::lock_guard lock(mutex_);
  return head_;
}

Result<LedgerHead> Ledger::durable_head() const {
  std::shared_ptr<RecordFile> file;
  LedgerHead out;
  {
    const std::lock_guard lock(mutex_);
    out = {rows_ - 1, head_, last_time_ms_, last_place_};
    file = file_;
  }
  KEYWARD_CHECK(file->sync(file->size_bytes()));
  return out;
}

bool Ledger::broken() const {
  const std::lock_guard lock(mutex_);
  return file_->broken();
}

}  // namespace keyward::issue
