// Owns the appliance's accounts, orders, authorizations, challenges and certificates on SQLite,
// behind typed operations. Must not know sockets, HTTP or keys. Decisions:
// docs/adr/0004-storage.md.
//
// A row of another account is absent. State machine edges are compare-and-set (acme/states.h).
// Orders and authorizations whose time has passed read as invalid and expired; what was issued is
// kept.
//
// Failure codes: "store-full" (exhausted; nothing was lost), "account-limit", "order-limit"
// (exhausted), "store-failed" (corrupt; every later operation says the same), "store-unavailable",
// "row-exists", "edge-not-allowed", "account-unknown", "account-not-valid" (refused),
// "record-malformed" (bad input). Threads: any; one writer at a time, readers beside it.
#pragma once

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
#include "firmware/wire/messages/account_update.h"
#include "firmware/wire/messages/authz_get.h"
#include "firmware/wire/messages/authz_update.h"
#include "firmware/wire/messages/certificate_get.h"
#include "firmware/wire/messages/challenge_update.h"
#include "firmware/wire/messages/failure.h"
#include "firmware/wire/messages/order_get.h"
#include "firmware/wire/messages/order_list.h"
#include "firmware/wire/messages/order_put.h"
#include "firmware/wire/messages/order_update.h"
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
  std::int64_t accounts_max = limits::kAccountsMax;
  int readers = 4;  // read connections; more callers wait
};

struct Swept {
  std::int64_t orders = 0;
  std::int64_t certificates = 0;
};

class Store {
 public:
  // Opens or makes keyward.db, recovers what the log holds, climbs the schema. kCorrupt, kRefused
  // (a newer version's database), kUnavailable, kExhausted.
  static Result<std::unique_ptr<Store>> open(Options options, Clock& clock);
  ~Store();

  Answer<wire::AccountPutReply> account_put(const wire::AccountPut& request);
  Answer<wire::AccountGetReply> account_get(const wire::AccountGet& request);
  Answer<wire::AccountUpdateReply> account_update(const wire::AccountUpdate& request);
  Answer<wire::OrderPutReply> order_put(const wire::OrderPut& request);
  Answer<wire::OrderGetReply> order_get(const wire::OrderGet& request);
  Answer<wire::OrderListReply> order_list(const wire::OrderList& request);
  Answer<wire::OrderUpdateReply> order_update(const wire::OrderUpdate& request);
  Answer<wire::AuthzGetReply> authz_get(const wire::AuthzGet& request);
  Answer<wire::AuthzUpdateReply> authz_update(const wire::AuthzUpdate& request);
  Answer<wire::ChallengeUpdateReply> challenge_update(const wire::ChallengeUpdate& request);
  Answer<wire::CertificateGetReply> certificate_get(const wire::CertificateGet& request);
  Answer<wire::WorkListReply> work_list(const wire::WorkList& request);

  // Makes durable whatever nobody waited for; nothing to do costs nothing.
  Status flush();
  // Deletes what ended long ago, in short transactions, and looks how full the disk is.
  Result<Swept> sweep();
  // Reads the whole file once, beside the others. kCorrupt also puts the store into its failed
  // state.
  Status check_integrity();
  bool failed() const { return failed_.load(); }
  bool filling() const { return filling_.load(); }  // nearly full: nothing new is begun
  std::uint64_t syncs() { return log_->syncs(); }

 private:
  enum class Promise { kNormal, kDurable };
  class Lease;
  struct SweepState;

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
  Answer<wire::AuthzRecord> authz_of(Connection& db, std::size_t statement,
                                     std::int64_t number_or_zero, const std::string& id,
                                     const std::string& account_id);
  Answer<std::int64_t> issuer_number(Connection& db, const std::vector<Bytes>& chain);
  Answer<bool> put_certificate(Connection& db, const wire::CertificateRecord& certificate,
                               const wire::OrderRecord& order);
  Answer<bool> settle_order(Connection& db, std::int64_t order_number,
                            wire::ChallengeStatus outcome,
                            const std::optional<std::string>& error_json);
  Answer<bool> put_authorizations(Connection& db, std::int64_t order_number,
                                  const wire::OrderPut& request);
  Answer<bool> end_open_orders(Connection& db, std::int64_t account_number);
  Result<std::int64_t> sweep_orders(Connection& db, std::int64_t now_ms);
  Result<std::int64_t> sweep_certificates(Connection& db, std::int64_t now_ms);
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
  std::int64_t order_cursor_ = 0;
  std::int64_t certificate_cursor_ = 0;
  std::mutex readers_mutex_;
  std::condition_variable reader_back_;
  std::vector<Connection> readers_;
  std::atomic<bool> failed_{false};
  std::atomic<bool> filling_{false};  // near its limit: nothing new is begun
};

}  // namespace keyward::store
