// VACUUM INTO: see snapshot.h.
#include "firmware/store/snapshot.h"

#include "firmware/store/sqlite.h"

namespace keyward::store {

Status snapshot_database(const std::string& path, const std::string& target) {
  KEYWARD_TRY(db, Connection::open(path, Connection::Mode::kReadOnly));
  KEYWARD_TRY(statement, db.prepare_one("VACUUM INTO ?1"));
  return Query(db, statement, std::string_view(target)).finish();
}

Status check_database(const std::string& path) {
  KEYWARD_TRY(db, Connection::open(path, Connection::Mode::kReadOnly));
  KEYWARD_TRY(statement, db.prepare_one("PRAGMA integrity_check"));
  Query query(db, statement);
  KEYWARD_TRY(row, query.next());
  if (!row || query.text(0) != "ok")
    return fail(ErrorKind::kCorrupt, "the database does not pass its integrity check");
  return {};
}

}  // namespace keyward::store
