#include "firmware/store/schema.h"

#include <array>

#include "hal/base/limits.h"

namespace keyward::store {
namespace {

static_assert(limits::kIdentifiersPerOrderMax == 1u << kAuthzBits);

// "KWst": tells our file from any other SQLite file.
constexpr std::int64_t kApplicationId = 0x4B577374;

// Statuses are the wire's numbers (firmware/wire/messages/common.h), which never change meaning.
constexpr const char* kVersion1 = R"(
CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at_ms INTEGER NOT NULL) STRICT;

CREATE TABLE accounts (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  thumbprint BLOB NOT NULL UNIQUE,
  jwk TEXT NOT NULL,
  status INTEGER NOT NULL,
  contacts BLOB NOT NULL,
  terms_agreed INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE orders (
  n INTEGER PRIMARY KEY,
  ticket TEXT NOT NULL UNIQUE,
  account_n INTEGER NOT NULL,
  status INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  certificate_id TEXT,
  error_json TEXT,
  identifiers BLOB NOT NULL,
  terms BLOB NOT NULL,
  finalize BLOB
) STRICT;
CREATE INDEX orders_of_account ON orders (account_n);
CREATE INDEX orders_open ON orders (account_n, expires_at_ms) WHERE status IN (1, 2, 3);
CREATE INDEX orders_processing ON orders (status) WHERE status = 3;

CREATE TABLE authorizations (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  identifier_type INTEGER NOT NULL,
  identifier_value TEXT NOT NULL,
  wildcard INTEGER NOT NULL,
  status INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE challenges (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  method INTEGER NOT NULL,
  status INTEGER NOT NULL,
  token TEXT NOT NULL,
  validated_at_ms INTEGER,
  error_json TEXT
) STRICT;
CREATE INDEX challenges_processing ON challenges (status) WHERE status = 2;

-- What stands above the leaf is the same for thousands of certificates: kept once.
CREATE TABLE issuers (n INTEGER PRIMARY KEY, chain BLOB NOT NULL UNIQUE) STRICT;

CREATE TABLE certificates (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_n INTEGER NOT NULL,
  ticket TEXT NOT NULL,
  serial BLOB NOT NULL,
  not_after_ms INTEGER NOT NULL,
  leaf BLOB NOT NULL,
  issuer_n INTEGER NOT NULL
) STRICT;
)";

// Columns are added at the end: no row is written anew but those of authorizations, which get their
// account. Authorizations of version 1 were each for one order.
constexpr const char* kVersion2 = R"(
ALTER TABLE accounts ADD COLUMN terms_url TEXT;
ALTER TABLE accounts ADD COLUMN binding_json TEXT;
ALTER TABLE accounts ADD COLUMN eab_kid TEXT;
ALTER TABLE accounts ADD COLUMN earlier_keys BLOB;
-- A key is one account's for ever: those that were replaced stand here.
CREATE TABLE earlier_keys (
  thumbprint BLOB PRIMARY KEY,
  account_n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE orders ADD COLUMN reused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN replaces TEXT;
ALTER TABLE orders ADD COLUMN certificate_get INTEGER;
ALTER TABLE orders ADD COLUMN star_next_at_ms INTEGER;
CREATE INDEX orders_renewing ON orders (star_next_at_ms) WHERE star_next_at_ms IS NOT NULL;

ALTER TABLE authorizations ADD COLUMN account_n INTEGER NOT NULL DEFAULT 0;
ALTER TABLE authorizations ADD COLUMN kind INTEGER NOT NULL DEFAULT 1;
ALTER TABLE authorizations ADD COLUMN subtree INTEGER NOT NULL DEFAULT 0;
UPDATE authorizations SET account_n =
  coalesce((SELECT o.account_n FROM orders o WHERE o.n = authorizations.n >> 6), 0);
CREATE INDEX authz_reusable ON authorizations (account_n, identifier_type, identifier_value)
  WHERE kind <> 1 AND status = 2;
CREATE INDEX authz_alone ON authorizations (account_n, expires_at_ms) WHERE kind = 3;

-- An order's authorizations that were not begun with it.
CREATE TABLE relied (
  order_n INTEGER NOT NULL,
  position INTEGER NOT NULL,
  authz_n INTEGER NOT NULL,
  PRIMARY KEY (order_n, position)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX relied_on ON relied (authz_n, order_n);

ALTER TABLE challenges ADD COLUMN data_json TEXT;

ALTER TABLE certificates ADD COLUMN revoked_at_ms INTEGER;
ALTER TABLE certificates ADD COLUMN revocation_reason INTEGER;
ALTER TABLE certificates ADD COLUMN replaced_by TEXT;
CREATE INDEX certificates_by_serial ON certificates (serial);

CREATE TABLE recoveries (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_id TEXT NOT NULL,
  thumbprint BLOB NOT NULL,
  jwk TEXT NOT NULL,
  method TEXT NOT NULL,
  status INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  ready_at_ms INTEGER NOT NULL,
  code_sha256 BLOB,
  veto_sha256 BLOB,
  error_json TEXT
) STRICT;
CREATE INDEX recoveries_open ON recoveries (account_id) WHERE status IN (1, 2);

CREATE TABLE mails (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  address TEXT NOT NULL,
  subject TEXT NOT NULL,
  text TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  due_at_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL
) STRICT;
CREATE INDEX mails_due ON mails (due_at_ms);
)";

// An answer stands in its row only while it is being judged; the index finds those that were left.
constexpr const char* kVersion3 = R"(
ALTER TABLE accounts ADD COLUMN tenant TEXT;
ALTER TABLE orders ADD COLUMN tenant TEXT;
ALTER TABLE authorizations ADD COLUMN tenant TEXT;
ALTER TABLE challenges ADD COLUMN answer BLOB;
CREATE INDEX challenges_answers ON challenges (n) WHERE answer IS NOT NULL;
)";

constexpr std::array<const char*, kSchemaVersion> kLadder = {kVersion1, kVersion2, kVersion3};

// One question, answered by one number. The statement lives as long as the answer takes.
Result<std::int64_t> ask(Connection& connection, const char* sql) {
  KEYWARD_TRY(index, connection.prepare_one(sql));
  Query query(connection, index);
  KEYWARD_TRY(row, query.next());
  return row ? query.integer(0) : 0;
}

Status climb(Connection& connection, std::int64_t step, std::int64_t now_ms) {
  KEYWARD_CHECK(connection.run("BEGIN IMMEDIATE"));
  auto done = connection.run(kLadder[static_cast<std::size_t>(step)]);
  const auto note = "INSERT INTO schema_version VALUES (" + std::to_string(step + 1) + ", " +
                    std::to_string(now_ms) + ");";
  if (done) done = connection.run(note.c_str());
  if (done) done = connection.run("COMMIT");
  if (!done) static_cast<void>(connection.run("ROLLBACK"));
  return done;
}

}  // namespace

Status migrate(Connection& connection, std::int64_t now_ms) {
  KEYWARD_TRY(tables, ask(connection, "SELECT count(*) FROM sqlite_schema"));
  KEYWARD_TRY(application, ask(connection, "PRAGMA application_id"));
  if (tables == 0) {
    KEYWARD_CHECK(
        connection.run(("PRAGMA application_id = " + std::to_string(kApplicationId)).c_str()));
  } else if (application != kApplicationId) {
    return fail(ErrorKind::kCorrupt, "the database is not this program's");
  }
  std::int64_t version = 0;
  if (tables != 0) {
    KEYWARD_TRY(found, ask(connection, "SELECT max(version) FROM schema_version"));
    version = found;
  }
  if (version > kSchemaVersion)
    return fail(ErrorKind::kRefused, "the database was made by a newer version", version);
  connection.forget_statements();
  for (; version < kSchemaVersion; ++version) KEYWARD_CHECK(climb(connection, version, now_ms));
  return {};
}

}  // namespace keyward::store
