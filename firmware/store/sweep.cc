// Owns what is deleted, and when: a cursor walks each table, a few rows in one short transaction.
// Must not know requests.
#include <algorithm>

#include "firmware/store/internal.h"

namespace keyward::store {
namespace {

// Numbers with whether their time has come, from a number on.
struct TableRule {
  std::size_t after;
  std::int64_t retention_ms;  // after the end of the row
};

constexpr std::size_t kNone = kSqlCount;

}  // namespace

// What was begun with an order goes with it, except what others rely on: the walk over
// authorizations deletes that in its time. A certificate whose replacement came to nothing is free.
Status Store::sweep_order(Connection& db, std::int64_t number, std::int64_t now_ms) {
  {
    Query query(db, kOrderReplacing, number);
    KEYWARD_TRY(row, query.next());
    const auto status = row ? static_cast<OrderStatus>(query.integer(1)) : OrderStatus::kValid;
    const bool replaced = status == OrderStatus::kValid || status == OrderStatus::kCanceled;
    if (row && !query.null(2) && !replaced) {
      const auto id = query.text(2);
      const auto serial = base64url_decode(std::string_view(id).substr(id.find('.') + 1));
      if (serial) KEYWARD_CHECK(Query(db, kCertificateFree, *serial, query.text(0)).finish());
    }
  }
  KEYWARD_CHECK(Query(db, kReliedDeleteOfOrder, number).finish());
  std::int64_t kept = 0;
  {
    Query query(db, kAuthzKeptOfOrder, number, now_ms);
    KEYWARD_CHECK(query.next());
    kept = query.integer(0);
  }
  if (kept == 0) {
    KEYWARD_CHECK(Query(db, kChallengeDeleteOfOrder, number).finish());
    KEYWARD_CHECK(Query(db, kAuthzDeleteOfOrder, number).finish());
  }
  return Query(db, kOrderDelete, number).finish();
}

Result<std::int64_t> Store::sweep_table(Connection& db, Table table, std::int64_t now_ms) {
  constexpr std::array<TableRule, kTables> kRules = {{
      {kOrdersAfter, limits::kOrderRetentionMs},
      {kAuthzAfter, limits::kOrderRetentionMs},
      {kCertificatesAfter, limits::kCertificateRetentionMs},
      {kRecoveriesAfter, limits::kRecoveryRetentionMs},
      {kMailsAfter, limits::kMailRetentionMs},
  }};
  constexpr std::array<std::size_t, kTables> kDelete = {kNone, kAuthzDelete, kCertificateDelete,
                                                        kRecoveryDelete, kMailDelete};
  std::vector<std::int64_t> ended;
  std::int64_t seen = 0;
  auto& cursor = cursors_[table];
  {
    Query query(db, kRules[table].after, cursor, std::int64_t{limits::kSweepRowsMax},
                now_ms - kRules[table].retention_ms);
    while (true) {
      KEYWARD_TRY(row, query.next());
      if (!row) break;
      ++seen;
      cursor = query.integer(0);
      if (query.integer(1) != 0) ended.push_back(cursor);
    }
  }
  if (seen < limits::kSweepRowsMax) cursor = 0;  // the end: next time from the start
  for (const auto number : ended) {
    if (table == kOrders) {
      KEYWARD_CHECK(sweep_order(db, number, now_ms));
      continue;
    }
    if (table == kAuthorizations)
      KEYWARD_CHECK(Query(db, kChallengeDeleteOfAuthz, number).finish());
    KEYWARD_CHECK(Query(db, kDelete[table], number).finish());
  }
  return static_cast<std::int64_t>(ended.size());
}

// One transaction: some rows of each table that is not at its end yet.
Result<std::array<std::int64_t, Store::kTables>> Store::sweep_batch(
    Connection& db, std::int64_t now_ms, std::array<bool, kTables>& at_end) {
  std::array<std::int64_t, kTables> deleted{};
  KEYWARD_CHECK(Query(db, kBegin).finish());
  Status done;
  for (int table = 0; table < kTables && done; ++table) {
    const auto index = static_cast<std::size_t>(table);
    if (at_end[index]) continue;
    const auto count = sweep_table(db, static_cast<Table>(table), now_ms);
    if (!count) {
      done = fail(count.error());
      break;
    }
    deleted[index] = *count;
    at_end[index] = cursors_[index] == 0;
  }
  if (done) done = Query(db, kCommit).finish();
  if (done) return deleted;
  static_cast<void>(Query(db, kRollback).finish());
  return fail(done.error());
}

// Free pages beyond an eighth of the file go back to the file system, a few in one transaction: what
// was deleted makes room for others on the disk, and what stays spares the next rows the growing.
Status Store::give_back() {
  for (int turn = 0; turn < limits::kVacuumTurnsMax; ++turn) {
    const std::lock_guard lock(writer_mutex_);
    Query all(*writer_, kPageCount);
    KEYWARD_CHECK(all.next());
    Query free(*writer_, kFreePageCount);
    KEYWARD_CHECK(free.next());
    const auto kept = std::max(all.integer(0) / 8, limits::kVacuumKeptPages);
    const auto count = std::min(free.integer(0) - kept, limits::kVacuumPagesMax);
    if (count <= 0) return {};
    KEYWARD_CHECK(
        writer_->run(("PRAGMA incremental_vacuum(" + std::to_string(count) + ")").c_str()));
    log_->committed();
  }
  return {};
}

Result<Swept> Store::sweep() {
  if (failed()) return fail(ErrorKind::kCorrupt, "the database was taken out of service");
  Swept swept;
  const auto now_ms = clock_.utc_ms();
  std::array<bool, kTables> at_end{};
  for (int batch = 0; batch < limits::kSweepBatchesMax; ++batch) {
    const std::lock_guard lock(
        writer_mutex_);  // left between batches, so that requests come through
    KEYWARD_TRY(deleted, sweep_batch(*writer_, now_ms, at_end));
    const auto before = swept.all();
    swept.orders += deleted[kOrders];
    swept.authorizations += deleted[kAuthorizations];
    swept.certificates += deleted[kCertificates];
    swept.recoveries += deleted[kRecoveries];
    swept.mails += deleted[kMails];
    if (swept.all() != before) log_->committed();
    if (std::all_of(at_end.begin(), at_end.end(), [](bool end) { return end; })) break;
  }
  KEYWARD_CHECK(give_back());
  const std::lock_guard lock(writer_mutex_);
  const auto before = writer_->changes_ever();
  KEYWARD_CHECK(
      Query(*writer_, kAnswersForgetEnded, now_ms, std::int64_t{limits::kSweepRowsMax}).finish());
  if (writer_->changes_ever() != before) log_->committed();
  KEYWARD_CHECK(measure());
  return swept;
}

}  // namespace keyward::store
