#include "firmware/store/sqlite.h"

#include <utility>

#include <sqlite3.h>

namespace keyward::store {
namespace {

constexpr int kBusyTimeoutMs =
    2'000;  // a reader waits only while a checkpoint or recovery holds a lock

// The one place where SQLite's codes become kinds.
tl::unexpected<Error> fail_sqlite(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return fail(ErrorKind::kExhausted, "the database or its disk is full", code);
    case SQLITE_NOMEM:
      return fail(ErrorKind::kExhausted, "no memory for the database", code);
    case SQLITE_TOOBIG:
      return fail(ErrorKind::kBadInput, "a value is too large for the database", code);
    case SQLITE_CORRUPT:
      return fail(ErrorKind::kCorrupt, "the database is damaged", code);
    case SQLITE_NOTADB:
      return fail(ErrorKind::kCorrupt, "the database file is not a database", code);
    case SQLITE_CONSTRAINT:
      return fail(ErrorKind::kRefused, "a row with this key is there already", code);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return fail(ErrorKind::kUnavailable, "the database is locked", code);
    case SQLITE_IOERR:
      return fail(ErrorKind::kUnavailable, "input or output of the database failed", code);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return fail(ErrorKind::kUnavailable, "the database cannot be opened for this use", code);
    default:
      return fail(ErrorKind::kInternal, "the database refused a statement", code);
  }
}

}  // namespace

Result<Connection> Connection::open(const std::string& path, Mode mode) {
  const int flags =
      mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  // NOMUTEX: the owner of a Connection already keeps it to one thread at a time.
  const int code = ::sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Connection connection(handle);
  if (code != SQLITE_OK) return fail_sqlite(code);
  ::sqlite3_extended_result_codes(handle, 1);
  ::sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return connection;
}

Connection::Connection(Connection&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)),
      statements_(std::exchange(other.statements_, {})) {}

Connection& Connection::operator=(Connection&& other) noexcept {
  if (this == &other) return *this;
  close();
  handle_ = std::exchange(other.handle_, nullptr);
  statements_ = std::exchange(other.statements_, {});
  return *this;
}

Connection::~Connection() { close(); }

void Connection::close() {
  forget_statements();
  ::sqlite3_close_v2(std::exchange(handle_, nullptr));
}

Status Connection::run(const char* sql) {
  const int code = ::sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail_sqlite(code);
  return {};
}

Result<std::size_t> Connection::prepare_one(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = ::sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return fail_sqlite(code);
  statements_.push_back(statement);
  return statements_.size() - 1;
}

Status Connection::prepare(std::span<const std::string_view> sqls) {
  if (!statements_.empty()) return fail(ErrorKind::kInternal, "statements were prepared already");
  for (const auto sql : sqls) KEYWARD_CHECK(prepare_one(sql));
  return {};
}

void Connection::forget_statements() {
  for (auto* statement : statements_) ::sqlite3_finalize(statement);
  statements_.clear();
}

std::int64_t Connection::last_insert_rowid() const { return ::sqlite3_last_insert_rowid(handle_); }
std::int64_t Connection::changes_ever() const { return ::sqlite3_total_changes64(handle_); }

Query::~Query() {
  ::sqlite3_reset(handle_);
  ::sqlite3_clear_bindings(handle_);
}

Result<bool> Query::next() {
  if (bind_code_ != SQLITE_OK) return fail_sqlite(bind_code_);
  const int code = ::sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail_sqlite(code);
}

Status Query::finish() {
  KEYWARD_CHECK(next());
  return {};
}

std::int64_t Query::integer(int column) const { return ::sqlite3_column_int64(handle_, column); }
bool Query::null(int column) const { return ::sqlite3_column_type(handle_, column) == SQLITE_NULL; }

ByteView Query::view(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(::sqlite3_column_blob(handle_, column));
  return {data, static_cast<std::size_t>(::sqlite3_column_bytes(handle_, column))};
}

std::string Query::text(int column) const { return std::string(text_of(view(column))); }
Bytes Query::blob(int column) const { return to_bytes(view(column)); }

std::optional<std::string> Query::optional_text(int column) const {
  if (null(column)) return std::nullopt;
  return text(column);
}

std::optional<std::int64_t> Query::optional_integer(int column) const {
  if (null(column)) return std::nullopt;
  return integer(column);
}

void Query::bind(int index, std::int64_t value) {
  bind_code_ |= ::sqlite3_bind_int64(handle_, index, value);
}
void Query::bind_null(int index) { bind_code_ |= ::sqlite3_bind_null(handle_, index); }

void Query::bind(int index, std::string_view value) {
  // A null pointer would bind NULL: an empty text is a text.
  const char* data = value.empty() ? "" : value.data();
  bind_code_ |=
      ::sqlite3_bind_text64(handle_, index, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void Query::bind(int index, ByteView value) {
  bind_code_ |= value.empty() ? ::sqlite3_bind_zeroblob(handle_, index, 0)
                              : ::sqlite3_bind_blob64(handle_, index, value.data(), value.size(),
                                                      SQLITE_TRANSIENT);
}

}  // namespace keyward::store
