// Owns the appliance's accounts, orders, authorizations, challenges, certificates, recoveries and
// waiting notices on SQLite, behind typed operations. Must not know sockets, HTTP or keys. Decisions:
// docs/adr/0004-storage.md.
//
// A row of another account is absent. State machine edges are compare-and-set (acme/states.h).
// Orders and authorizations whose time has passed read as invalid and expired; what was issued is
// kept.
//
// One key is one account's for ever: a replaced key finds no account, and makes none.
//
// Failure codes: "store-full" (exhausted; nothing was lost), "account-limit", "order-limit",
// "authz-limit", "recovery-limit", "mail-limit", "key-history-full" (exhausted), "store-failed"
// (corrupt; every later operation says the same), "store-unavailable", "authz-not-reusable"
// (unavailable: found valid, but it has ended; ask again), "row-exists", "edge-not-allowed",
// "account-unknown", "account-not-valid", "key-was-used", "already-replaced", "certificate-unknown"
// (refused), "record-malformed" (bad input). Threads: any; one writer at a time, readers beside it.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "firmware/store/durable_log.h"
#include "firmware/store/sqlite.h"
#include "firmware/wire/messages/account_get.h"
#include "firmware/wire/messages/account_put.h"
#include "firmware/wire/messages/account_rekey.h"
#include "firmware/wire/messages/account_update.h"
#include "firmware/wire/messages/authz_find.h"
#include "firmware/wire/messages/authz_get.h"
#include "firmware/wire/messages/authz_put.h"
#include "firmware/wire/messages/authz_update.h"
#include "firmware/wire/messages/certificate_find.h"
#include "firmware/wire/messages/certificate_get.h"
#include "firmware/wire/messages/certificate_mark.h"
#include "firmware/wire/messages/challenge_update.h"
#include "firmware/wire/messages/failure.h"
#include "firmware/wire/messages/mail_done.h"
#include "firmware/wire/messages/mail_put.h"
#include "firmware/wire/messages/mail_take.h"
#include "firmware/wire/messages/order_get.h"
#include "firmware/wire/messages/order_list.h"
#include "firmware/wire/messages/order_put.h"
#include "firmware/wire/messages/order_update.h"
#include "firmware/wire/messages/recovery_get.h"
#include "firmware/wire/messages/recovery_put.h"
#include "firmware/wire/messages/recovery_update.h"
#include "firmware/wire/messages/work_list.h"
#include "hal/base/clock.h"
#include "hal/base/limits.h"

namespace keyward::store {

template <class T>
using Answer = tl::expected<T, wire::Failure>;

struct Options {
  std::string directory;  // exists, this task's own
  std::int64_t bytes_max = limits::kStoreBytesMax;
  std::int64_t reserve_bytes = limits::kStoreReserveBytes;
  std::int64_t open_orders_per_account_max = limits::kOpenOrdersPerAccountMax;
  std::int64_t open_authz_per_account_max = limits::kOpenAuthzPerAccountMax;
  std::int64_t accounts_max = limits::kAccountsMax;
  std::int64_t recoveries_max = limits::kRecoveriesMax;
  std::int64_t mails_max = limits::kMailsMax;
  int readers = 4;  // read connections; more callers wait
};

struct Swept {
  std::int64_t orders = 0;
  std::int64_t certificates = 0;
  std::int64_t authorizations = 0;  // those that outlived their order, or had none
  std::int64_t recoveries = 0;
  std::int64_t mails = 0;
  std::int64_t all() const { return orders + certificates + authorizations + recoveries + mails; }
};

// How large the store is, for an operator (docs/operations/monitoring.md).
struct FileFigures {
  std::int64_t database_bytes = 0;  // the file, free pages and all
  std::int64_t log_bytes = 0;       // the write-ahead log
  std::int64_t free_bytes = 0;      // pages of the file that hold nothing
  std::int64_t bytes_max = 0;       // of the file
};
struct RowFigures {
  static constexpr std::array<std::string_view, 8> kKinds = {
      "account",   "earlier-key", "order",    "authorization",
      "challenge", "certificate", "recovery", "mail"};
  std::array<std::int64_t, kKinds.size()> rows{};
};

class Store {
 public:
  // Opens or makes keyward.db, recovers what the log holds, climbs the schema. kCorrupt, kRefused
  // (a newer version's database), kUnavailable, kExhausted.
  static Result<std::unique_ptr<Store>> open(Options options, Clock& clock);
  ~Store();

  // Durable: on the disk before the answer. The others within a second (flush()), or never: reads.
  Answer<wire::AccountPutReply> account_put(const wire::AccountPut& request);  // durable
  Answer<wire::AccountGetReply> account_get(const wire::AccountGet& request);
  Answer<wire::AccountUpdateReply> account_update(const wire::AccountUpdate& request);  // durable
  // Durable. Not applied: `expected` is no longer the key, or `holder_id` has the new one.
  Answer<wire::AccountRekeyReply> account_rekey(const wire::AccountRekey& request);
  // The order expires no later than a valid authorization that it relies on.
  Answer<wire::OrderPutReply> order_put(const wire::OrderPut& request);
  // Ids: those begun with the order, in their sequence, then the reused ones in theirs.
  Answer<wire::OrderGetReply> order_get(const wire::OrderGet& request);
  Answer<wire::OrderListReply> order_list(const wire::OrderList& request);
  // Durable when the order ends, and for each certificate. valid -> valid is a renewal (RFC 8739):
  // not applied if it brings the certificate that is there already. An order that renews keeps its
  // finalize and lives until its renewals end.
  Answer<wire::OrderUpdateReply> order_update(const wire::OrderUpdate& request);
  Answer<wire::AuthzPutReply> authz_put(const wire::AuthzPut& request);
  Answer<wire::AuthzGetReply> authz_get(const wire::AuthzGet& request);
  // With the challenge that proved each, and no other.
  Answer<wire::AuthzFindReply> authz_find(const wire::AuthzFind& request);
  Answer<wire::AuthzUpdateReply> authz_update(const wire::AuthzUpdate& request);  // durable
  // The answer of a challenge stands in its authorization (authz_get alone) until that is decided or
  // has ended; sweep() forgets those whose time passed.
  Answer<wire::ChallengeUpdateReply> challenge_update(const wire::ChallengeUpdate& request);
  Answer<wire::CertificateGetReply> certificate_get(const wire::CertificateGet& request);
  Answer<wire::CertificateFindReply> certificate_find(const wire::CertificateFind& request);
  Answer<wire::CertificateMarkReply> certificate_mark(
      const wire::CertificateMark& request);                                      // durable
  Answer<wire::RecoveryPutReply> recovery_put(const wire::RecoveryPut& request);  // durable
  Answer<wire::RecoveryGetReply> recovery_get(const wire::RecoveryGet& request);
  Answer<wire::RecoveryUpdateReply> recovery_update(
      const wire::RecoveryUpdate& request);  // durable
  // Durable. One whose id is known is kept once. A full queue refuses: were the oldest dropped, who
  // floods it would silence a warning to an account's owner.
  Answer<wire::MailPutReply> mail_put(const wire::MailPut& request);
  Answer<wire::MailTakeReply> mail_take(
      const wire::MailTake& request);  // they stay until mail_done
  Answer<wire::MailDoneReply> mail_done(const wire::MailDone& request);
  Answer<wire::WorkListReply> work_list(const wire::WorkList& request);

  // Makes durable whatever nobody waited for; nothing to do costs nothing.
  Status flush();
  // Deletes what ended long ago, in short transactions, and looks how full the disk is.
  Result<Swept> sweep();
  // Reads the whole file once, beside the others. kCorrupt also puts the store into its failed
  // state.
  Status check_integrity();
  // Cheap. The errors of a read.
  Result<FileFigures> file_figures();
  // Walks an index of each table, beside everything else: milliseconds for 10^5 rows.
  Result<RowFigures> row_figures();
  bool failed() const { return failed_.load(); }
  bool filling() const { return filling_.load(); }  // nearly full: nothing new is begun
  std::uint64_t syncs() { return log_->syncs(); }

 private:
  enum class Promise { kNormal, kDurable };
  class Lease;
  enum Table { kOrders, kAuthorizations, kCertificates, kRecoveries, kMails, kTables };
  struct RelyOn;
  struct StoredChallenge;

  Store(Options options, Clock& clock);
  Status start();
  Status open_readers();
  // Body: Answer<T>(Connection&), inside one transaction that is undone if it fails.
  template <class Body>
  auto write(Promise promise, Body body) -> decltype(body(std::declval<Connection&>()));
  template <class Body>
  auto read(Body body) -> decltype(body(std::declval<Connection&>()));
  tl::unexpected<wire::Failure> convert(const Error& error);
  static tl::unexpected<wire::Failure> convert(const wire::Failure& failure) {
    return tl::unexpected<wire::Failure>(failure);
  }
  // accounts.cc
  Answer<bool> check_room_for_account(Connection& db, const Digest256& thumbprint);
  Answer<bool> check_key_unused(Connection& db, const Digest256& thumbprint);
  Answer<std::int64_t> valid_account(Connection& db, const std::string& id);
  Answer<bool> change_key(Connection& db, std::int64_t number, wire::AccountRecord& account,
                          const wire::AccountRekey& request);
  Answer<bool> end_work(Connection& db, std::int64_t account_number);
  // certificates.cc
  Answer<std::int64_t> issuer_number(Connection& db, const std::vector<Bytes>& chain);
  Answer<bool> put_certificate(Connection& db, const wire::CertificateRecord& certificate,
                               const wire::OrderRecord& order);
  Answer<std::optional<wire::CertificateRecord>> read_one(Connection& db, Query& query);
  Answer<bool> put_replacement(Connection& db, const wire::OrderRecord& order);
  Answer<wire::CertificateGetReply> star_certificate(Connection& db,
                                                     const wire::CertificateGet& request);
  // orders.cc
  Answer<RelyOn> check_reused(Connection& db, const wire::OrderPut& request,
                              std::int64_t account_number);
  Answer<bool> put_star(Connection& db, std::int64_t number, wire::OrderRecord& record,
                        const wire::OrderUpdate& request);
  Answer<bool> set_result(Connection& db, std::int64_t number, wire::OrderRecord& record,
                          const wire::OrderUpdate& request);
  // authorizations.cc
  Answer<wire::AuthzRecord> authz_of(Connection& db, std::size_t statement,
                                     std::int64_t number_or_zero, const std::string& id,
                                     const std::string& account_id);
  Answer<bool> read_challenges(Connection& db, std::size_t statement, std::int64_t number,
                               wire::AuthzRecord& authz);
  Answer<StoredChallenge> find_challenge(Connection& db, const std::string& id);
  Answer<bool> put_authorization(Connection& db, std::int64_t number, std::int64_t account_number,
                                 std::int64_t kind, const wire::AuthzRecord& authz);
  Answer<std::int64_t> best_authz(Connection& db, const std::string& account_id,
                                  const wire::Identifier& identifier);
  Answer<bool> end_orders_on(Connection& db, std::int64_t authz_number);
  Answer<bool> check_room_for_answer(Connection& db, const StoredChallenge& stored,
                                     const Bytes& answer);
  Answer<bool> settle(Connection& db, const StoredChallenge& stored,
                      const wire::ChallengeUpdate& request);
  // sweep.cc
  Result<std::int64_t> sweep_table(Connection& db, Table table, std::int64_t now_ms);
  Status give_back();
  Status sweep_order(Connection& db, std::int64_t number, std::int64_t now_ms);
  Result<std::array<std::int64_t, kTables>> sweep_batch(Connection& db, std::int64_t now_ms,
                                                        std::array<bool, kTables>& at_end);
  Status measure();

  Options options_;
  Clock& clock_;
  std::string path_;
  std::mutex writer_mutex_;
  std::optional<Connection> writer_;
  std::optional<DurableLog> log_;
  std::int64_t accounts_ = 0;  // under writer_mutex_
  Bytes last_issuers_;         // under writer_mutex_: the chain that nearly every certificate has
  std::int64_t last_issuers_number_ = 0;
  std::int64_t next_number_ = 1;  // under writer_mutex_: of the next order, or authorization alone
  std::array<std::int64_t, kTables> cursors_{};  // under writer_mutex_: where the sweep goes on
  std::mutex readers_mutex_;
  std::condition_variable reader_back_;
  std::vector<Connection> readers_;
  std::atomic<bool> failed_{false};
  std::atomic<bool> filling_{false};  // near its limit: nothing new is begun
};

}  // namespace keyward::store
