#include "firmware/store/store.h"

#include <fcntl.h>
#include <sys/statvfs.h>

#include "firmware/store/internal.h"
#include "firmware/store/schema.h"
#include "hal/base/file.h"

namespace keyward::store {
namespace {

constexpr std::int64_t kPageBytes = 4'096;

// synchronous=NORMAL: the log is synced before each checkpoint and the file after it, never at
// commit; DurableLog does that for those who were promised it. The log is checkpointed at 16 MB, so
// that pages written again and again go to the file once.
constexpr const char* kWriterSettings =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = NORMAL;"
    "PRAGMA wal_autocheckpoint = 4000;"
    "PRAGMA journal_size_limit = 67108864;"
    "PRAGMA cache_size = -16384;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cell_size_check = ON;";
constexpr const char* kReaderSettings =
    "PRAGMA cache_size = -4096;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA query_only = ON;";

std::string_view code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kExhausted:
      return "store-full";
    case ErrorKind::kCorrupt:
      return "store-failed";
    case ErrorKind::kUnavailable:
      return "store-unavailable";
    case ErrorKind::kRefused:
      return "row-exists";
    case ErrorKind::kBadInput:
      return "record-malformed";
    case ErrorKind::kInternal:
      break;
  }
  return "store-internal";
}

// A file whose free pages cannot go back to the file system (a new one, or one made before
// housekeeping gave them back) is written anew, once. The mode is asked of the file afterwards: a
// pragma that did nothing says nothing.
Status make_shrinkable(Connection& db) {
  constexpr std::int64_t kIncremental = 2;
  KEYWARD_TRY(index, db.prepare_one("PRAGMA auto_vacuum"));
  const auto mode = [&]() -> Result<std::int64_t> {
    Query query(db, index);
    KEYWARD_TRY(row, query.next());
    return row ? query.integer(0) : 0;
  };
  KEYWARD_TRY(before, mode());
  if (before == kIncremental) return {};
  KEYWARD_CHECK(db.run("PRAGMA auto_vacuum = INCREMENTAL; VACUUM"));
  KEYWARD_TRY(after, mode());
  if (after != kIncremental)
    return fail(ErrorKind::kInternal, "the database cannot give free pages back");
  return {};
}

}  // namespace

Store::Store(Options options, Clock& clock)
    : options_(std::move(options)), clock_(clock), path_(options_.directory + "/keyward.db") {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(Options options, Clock& clock) {
  std::unique_ptr<Store> store(new Store(std::move(options), clock));
  KEYWARD_CHECK(store->start());
  return store;
}

Status Store::start() {
  KEYWARD_TRY(connection, Connection::open(path_, Connection::Mode::kReadWriteCreate));
  writer_.emplace(std::move(connection));
  Connection& db = *writer_;
  KEYWARD_CHECK(db.run(kWriterSettings));
  KEYWARD_CHECK(db.run(
      ("PRAGMA max_page_count = " + std::to_string(options_.bytes_max / kPageBytes)).c_str()));
  KEYWARD_TRY(mode, db.prepare_one("PRAGMA journal_mode"));
  {
    Query query(db, mode);
    KEYWARD_TRY(row, query.next());
    if (!row || query.text(0) != "wal")
      return fail(ErrorKind::kUnavailable, "the file system takes no write-ahead log");
  }
  KEYWARD_CHECK(migrate(db, clock_.utc_ms()));
  KEYWARD_CHECK(make_shrinkable(db));
  db.forget_statements();
  KEYWARD_CHECK(db.prepare(kSqlTexts));
  UniqueFd log(::open((path_ + "-wal").c_str(), O_RDWR | O_CLOEXEC));
  if (!log) return fail(ErrorKind::kUnavailable, "the write-ahead log is not there", errno);
  log_.emplace(std::move(log));
  // What was recovered, and the names of the files, must outlive a power cut from here on.
  KEYWARD_CHECK(log_->wait_durable(log_->committed()));
  KEYWARD_CHECK(sync_directory(options_.directory));
  {
    Query query(db, kAccountCount);
    KEYWARD_TRY(row, query.next());
    accounts_ = row ? query.integer(0) : 0;
  }
  {
    Query query(db, kNumberMax);
    KEYWARD_CHECK(query.next());
    next_number_ = query.integer(0) + 1;
  }
  KEYWARD_CHECK(measure());
  return open_readers();
}

Status Store::open_readers() {
  for (int i = 0; i < options_.readers; ++i) {
    KEYWARD_TRY(reader, Connection::open(path_, Connection::Mode::kReadOnly));
    KEYWARD_CHECK(reader.run(kReaderSettings));
    KEYWARD_CHECK(reader.prepare(kSqlTexts));
    readers_.push_back(std::move(reader));
  }
  return {};
}

tl::unexpected<wire::Failure> Store::convert(const Error& error) {
  if (error.kind == ErrorKind::kCorrupt) failed_ = true;
  return tl::unexpected<wire::Failure>(wire::failure_from(error, code_of(error.kind)));
}

// How full: near the limit nothing new is begun, so that what was begun can end.
Status Store::measure() {
  std::int64_t pages = 0;
  {
    Query all(*writer_, kPageCount);
    KEYWARD_CHECK(all.next());
    Query free(*writer_, kFreePageCount);
    KEYWARD_CHECK(free.next());
    pages = all.integer(0) - free.integer(0);
  }
  struct statvfs disk {};
  const bool known = ::statvfs(options_.directory.c_str(), &disk) == 0;
  const bool disk_low =
      known && static_cast<std::int64_t>(disk.f_bavail) * static_cast<std::int64_t>(disk.f_frsize) <
                   options_.reserve_bytes;
  const std::int64_t own_reserve = options_.bytes_max / 20;
  filling_ = disk_low || pages * kPageBytes > options_.bytes_max - own_reserve;
  return {};
}

Status Store::flush() {
  if (failed()) return fail(ErrorKind::kCorrupt, "the database was taken out of service");
  auto durable = log_->wait_durable(log_->last());
  if (!durable) failed_ = true;
  return durable;
}

Status Store::check_integrity() {
  KEYWARD_TRY(connection, Connection::open(path_, Connection::Mode::kReadOnly));
  KEYWARD_TRY(index, connection.prepare_one("PRAGMA quick_check(1)"));
  Query query(connection, index);
  const auto row = query.next();
  const bool whole = row && *row && query.text(0) == "ok";
  if (whole) return {};
  if (!row && row.error().kind != ErrorKind::kCorrupt) return fail(row.error());
  failed_ = true;
  return fail(ErrorKind::kCorrupt, "the database is damaged");
}

}  // namespace keyward::store
