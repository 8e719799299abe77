// A database that an older version of the schema made climbs to today's and keeps everything.
#include "firmware/store/schema.h"
#include "firmware/wire/messages/order_terms.h"
#include "tests/unit/store/fixture.h"

namespace keyward::store {
namespace {

using wire::AuthzStatus;
using wire::ChallengeStatus;
using wire::OrderStatus;

// As version 1 had it: never to be changed.
constexpr const char* kTables1 = R"(
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

// What version 1 wrote: contacts and identifiers in the wire's form of then, which is today's.
constexpr const char* kRows1 = R"(
PRAGMA application_id = 1264022388;
INSERT INTO schema_version VALUES (1, 1780000000000);
INSERT INTO accounts (id, thumbprint, jwk, status, contacts, terms_agreed, created_at_ms) VALUES
  ('alice', x'616c696365000000000000000000000000000000000000000000000000000000', '{"kty":"EC"}', 1,
   x'a101816d6d61696c746f3a6140622e6578', 1, 1780000000001),
  ('bob', x'626f620000000000000000000000000000000000000000000000000000000000', '{"kty":"EC"}', 2,
   x'a10180', 0, 1780000000002);
INSERT INTO orders (ticket, account_n, status, expires_at_ms, certificate_id, error_json,
                    identifiers, terms, finalize) VALUES
  ('pending', 1, 1, 1790086400000, NULL, NULL,
   x'a10181a20101026a68302e6578616d706c65', x'00', NULL),
  ('ready', 1, 2, 1790086400000, NULL, NULL,
   x'a10181a20101026a68302e6578616d706c65', x'00', NULL),
  ('issued', 1, 4, 1790086400000, 'cert-issued', NULL,
   x'a10181a20101026a68302e6578616d706c65', x'00', NULL);
INSERT INTO authorizations (n, id, identifier_type, identifier_value, wildcard, status,
                            expires_at_ms) VALUES
  (64, 'pending-a0', 1, 'h0.example', 0, 1, 1790086400000),
  (65, 'pending-a1', 1, 'h1.example', 0, 2, 1790086400000),
  (128, 'ready-a0', 1, 'h0.example', 1, 2, 1790086400000),
  (192, 'issued-a0', 1, 'h0.example', 0, 2, 1790086400000);
INSERT INTO challenges (n, id, method, status, token, validated_at_ms, error_json) VALUES
  (512, 'pending-a0-c0', 1, 2, 'token', NULL, NULL),
  (520, 'pending-a1-c0', 1, 3, 'token', 1789990000000, NULL),
  (1024, 'ready-a0-c0', 2, 3, 'token', 1789990000000, NULL),
  (1536, 'issued-a0-c0', 1, 3, 'token', 1789990000000, NULL);
INSERT INTO issuers (chain) VALUES (x'a1018142ab01');
INSERT INTO certificates (id, account_n, ticket, serial, not_after_ms, leaf, issuer_n) VALUES
  ('cert-issued', 1, 'issued', x'0102', 1797776000000, x'3003', 1);
)";

class ClimbTest : public StoreTest {
 protected:
  void SetUp() override {
    auto old = Connection::open(database(), Connection::Mode::kReadWriteCreate);
    ASSERT_TRUE(old);
    ASSERT_TRUE(old->run("PRAGMA journal_mode = WAL"));
    ASSERT_TRUE(old->run(kTables1));
    const auto rows = old->run(kRows1);
    ASSERT_TRUE(rows) << rows.error().what;
  }
};

TEST_F(ClimbTest, Open_DatabaseOfVersion1_KeepsEverything) {
  reopen();
  const auto alice = store_->account_get({.id = "alice", .thumbprint = {}})->account;
  ASSERT_TRUE(alice);
  EXPECT_EQ(alice->contacts, std::vector<std::string>{"mailto:a@b.ex"});
  EXPECT_TRUE(alice->terms_agreed);
  EXPECT_EQ(alice->thumbprint, account("alice").thumbprint);
  EXPECT_FALSE(alice->terms_url || alice->binding_json || alice->eab_kid);
  EXPECT_TRUE(alice->earlier_keys.empty());
  const auto bob = store_->account_get({.id = {}, .thumbprint = account("bob").thumbprint});
  ASSERT_TRUE(bob->account);
  EXPECT_EQ(bob->account->status, wire::AccountStatus::kDeactivated);
  EXPECT_EQ(order_status("pending"), OrderStatus::kPending);
  EXPECT_EQ(order_status("ready"), OrderStatus::kReady);
  const auto issued = store_->order_get({"issued", "alice"});
  EXPECT_EQ(issued->order->status, OrderStatus::kValid);
  EXPECT_EQ(issued->order->identifiers[0].value, "h0.example");
  EXPECT_EQ(issued->authz_ids, std::vector<std::string>{"issued-a0"});
  const auto authz = store_->authz_get({"pending-a1", "alice"})->authz;
  ASSERT_TRUE(authz);
  EXPECT_EQ(authz->ticket, "pending");
  EXPECT_EQ(authz->status, AuthzStatus::kValid);
  EXPECT_EQ(authz->challenges[0].validated_at_ms, 1789990000000);
  const auto found = store_->certificate_find({Bytes{1, 2}})->certificate;
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, "cert-issued");
  EXPECT_EQ(found->chain.size(), 2u);
  EXPECT_TRUE(store_->check_integrity());
}

TEST_F(ClimbTest, Open_DatabaseOfVersion1_GoesOnWithWhatWasUnderWay) {
  reopen();
  ASSERT_EQ(store_->work_list({})->challenges.size(), 1u);
  EXPECT_EQ(store_->work_list({})->challenges[0].account_id, "alice");
  EXPECT_TRUE(
      challenge("pending-a0-c0", ChallengeStatus::kProcessing, ChallengeStatus::kValid).applied);
  EXPECT_EQ(order_status("pending"), OrderStatus::kReady);
  ASSERT_TRUE(move("ready", OrderStatus::kReady, OrderStatus::kProcessing)->applied);
  EXPECT_TRUE(move("ready", OrderStatus::kProcessing, OrderStatus::kValid)->applied);
  // Those of then were each for one order.
  EXPECT_TRUE(store_->authz_find({"alice", {{wire::IdentifierType::kDns, "h0.example"}}})
                  ->authorizations.empty());
  EXPECT_EQ(code_of(store_->order_put(relying_order("alice", "t1", {"issued-a0"}))),
            "authz-not-reusable");
  add_order("alice", "next");
  EXPECT_EQ(store_->order_get({"next", "alice"})->authz_ids, std::vector<std::string>{"next-a0"});
}

TEST_F(ClimbTest, Open_AClimbThatFails_LeavesVersion1AsItWas) {
  {
    auto old = Connection::open(database(), Connection::Mode::kReadWriteCreate);
    ASSERT_TRUE(old && old->run("CREATE TABLE mails (n INTEGER PRIMARY KEY)"));
  }
  EXPECT_FALSE(Store::open({.directory = directory_.path()}, clock_));
  {
    auto old = Connection::open(database(), Connection::Mode::kReadWriteCreate);
    ASSERT_TRUE(old);
    const auto version = old->prepare_one("SELECT max(version) FROM schema_version");
    ASSERT_TRUE(version);
    {
      Query query(*old, *version);
      ASSERT_TRUE(query.next());
      EXPECT_EQ(query.integer(0), 1);
    }
    old->forget_statements();
    EXPECT_FALSE(old->run("SELECT kind FROM authorizations"));
    ASSERT_TRUE(old->run("DROP TABLE mails"));
  }
  reopen();
  EXPECT_EQ(order_status("issued"), OrderStatus::kValid);
}

// As version 2 added it to that: never to be changed.
constexpr const char* kTables2 = R"(
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

// Of a database that climbed when version 2 was today's.
class ClimbFrom2Test : public StoreTest {
 protected:
  void SetUp() override {
    auto old = Connection::open(database(), Connection::Mode::kReadWriteCreate);
    ASSERT_TRUE(old);
    ASSERT_TRUE(old->run("PRAGMA journal_mode = WAL"));
    ASSERT_TRUE(old->run(kTables1) && old->run(kRows1) && old->run(kTables2));
    ASSERT_TRUE(old->run("INSERT INTO schema_version VALUES (2, 1785000000000)"));
  }
};

TEST_F(ClimbFrom2Test, Open_DatabaseOfVersion2_KeepsEverythingAndTakesAnswers) {
  reopen();
  const auto alice = store_->account_get({.id = "alice", .thumbprint = {}})->account;
  ASSERT_TRUE(alice);
  EXPECT_FALSE(alice->tenant);
  EXPECT_FALSE(store_->order_get({"pending", "alice"})->order->tenant);
  EXPECT_EQ(order_status("issued"), OrderStatus::kValid);
  const auto authz = store_->authz_get({"pending-a0", "alice"})->authz;
  ASSERT_TRUE(authz);
  EXPECT_FALSE(authz->tenant || authz->challenges[0].answer);
  ASSERT_EQ(store_->work_list({})->challenges.size(), 1u);
  ASSERT_TRUE(store_->order_put(order("alice", "next")));
  wire::ChallengeUpdate update{
      "next-a0-c0", ChallengeStatus::kPending, ChallengeStatus::kProcessing, {}, {}, {}};
  update.answer = Bytes(5, 5);
  EXPECT_TRUE(store_->challenge_update(update)->applied);
  EXPECT_EQ(store_->authz_get({"next-a0", "alice"})->authz->challenges[0].answer, Bytes(5, 5));
  EXPECT_TRUE(store_->check_integrity());
}

}  // namespace
}  // namespace keyward::store
