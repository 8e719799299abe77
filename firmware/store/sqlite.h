// Owns the handles of SQLite: one connection with its prepared statements, one use of a statement,
// one transaction. Must not know tables.
//
// Errors: kExhausted (disk or database full, memory), kCorrupt (the file contradicts itself),
// kRefused (a uniqueness constraint), kUnavailable (input/output, locked), kInternal (our SQL is
// wrong). Threads: a Connection is for one thread at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace keyward::store {

class Query;

class Connection {
 public:
  enum class Mode { kReadWriteCreate, kReadOnly };
  static Result<Connection> open(const std::string& path, Mode mode);
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;
  ~Connection();

  // Runs statements that answer nothing of interest.
  Status run(const char* sql);
  // Prepares `sqls[i]` as statement i, once, kept until the end.
  Status prepare(std::span<const std::string_view> sqls);
  Result<std::size_t> prepare_one(std::string_view sql);  // its number
  void forget_statements();
  sqlite3_stmt* statement(std::size_t index) { return statements_[index]; }
  std::int64_t last_insert_rowid() const;
  std::int64_t changes_ever() const;  // rows changed since it was opened

 private:
  explicit Connection(sqlite3* handle) : handle_(handle) {}
  void close();
  sqlite3* handle_ = nullptr;
  std::vector<sqlite3_stmt*> statements_;
};

// One use of a prepared statement: bound at the start, reset at the end. Values are copied in.
class Query {
 public:
  template <class... Values>
  Query(Connection& connection, std::size_t statement, const Values&... values)
      : handle_(connection.statement(statement)) {
    int index = 0;
    (bind(++index, values), ...);
  }
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Result<bool> next();  // true: a row is there
  Status finish();      // steps once; for statements that answer no row

  std::int64_t integer(int column) const;
  std::string text(int column) const;
  Bytes blob(int column) const;
  ByteView view(int column) const;  // until the next step
  bool null(int column) const;
  std::optional<std::string> optional_text(int column) const;
  std::optional<std::int64_t> optional_integer(int column) const;

 private:
  void bind(int index, std::int64_t value);
  void bind(int index, std::string_view value);
  void bind(int index, const std::string& value) { bind(index, std::string_view(value)); }
  void bind(int index, ByteView value);
  void bind(int index, const Bytes& value) { bind(index, ByteView(value)); }
  void bind(int index, const Digest256& value) { bind(index, ByteView(value)); }
  template <class T>
  void bind(int index, const std::optional<T>& value) {
    if (value) {
      bind(index, *value);
    } else {
      bind_null(index);
    }
  }
  template <class T>
  requires(std::is_enum_v<T>) void bind(int index, T value) {
    bind(index, static_cast<std::int64_t>(value));
  }
  void bind_null(int index);
  sqlite3_stmt* handle_;
  int bind_code_ = 0;
};

}  // namespace keyward::store
