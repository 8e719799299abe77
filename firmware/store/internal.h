// Owns the transaction frame around every operation of the store. Must not know any operation.
// Included by the store's own sources alone.
#pragma once

#include "firmware/acme/states.h"
#include "firmware/store/rows.h"
#include "firmware/store/schema.h"
#include "firmware/store/statements.h"
#include "firmware/store/store.h"
#include "firmware/wire/messages/order_terms.h"

// STORE_TRY(x, expr): declares x from a Result or an Answer, or returns its failure.
#define STORE_TRY(name, expression) STORE_TRY_IMPL(KEYWARD_CONCAT(try_, __LINE__), name, expression)
#define STORE_TRY_IMPL(temporary, name, expression)  \
  auto temporary = (expression);                     \
  if (!temporary) return convert(temporary.error()); \
  auto& name = *temporary
#define STORE_CHECK(expression)                                              \
  do {                                                                       \
    if (auto check_ = (expression); !check_) return convert(check_.error()); \
  } while (false)

namespace keyward::store {

// The state machines of RFC 8555 §7.1.6 are acme's pure functions: acme decides and shows by them,
// the store refuses every other edge.
using acme::AccountStatus;
using acme::at_time;
using acme::AuthzStatus;
using acme::ChallengeStatus;
using acme::is_final;
using acme::may_change;
using acme::OrderStatus;
using wire::RecoveryStatus;

inline tl::unexpected<wire::Failure> refuse(wire::FailureKind kind, std::string_view code,
                                            std::string_view detail) {
  return tl::unexpected<wire::Failure>(wire::Failure::of(kind, code, detail));
}
inline tl::unexpected<wire::Failure> malformed(std::string_view detail) {
  return refuse(wire::FailureKind::kBadInput, "record-malformed", detail);
}
inline tl::unexpected<wire::Failure> failed_failure() {
  return refuse(wire::FailureKind::kCorrupt, "store-failed",
                "the database is damaged and was taken out of service");
}

inline tl::unexpected<wire::Failure> edge_refused(std::string_view detail) {
  return refuse(wire::FailureKind::kRefused, "edge-not-allowed", detail);
}

// What the signer read of renewals in the signed newOrder (RFC 8739); of an order that does not
// renew, or whose terms cannot be read, nothing.
inline std::optional<wire::StarTerms> star_terms(const wire::OrderRecord& order) {
  auto terms = wire::decode_body<wire::OrderTerms>(order.terms);
  if (!terms) return std::nullopt;
  return terms->star;
}

// D-A9: what proves a name or an address may serve further orders, what proves a device never does.
inline bool is_reusable(const wire::Identifier& identifier) {
  return identifier.type == wire::IdentifierType::kDns ||
         identifier.type == wire::IdentifierType::kIp;
}

// What contradicts itself in an authorization that is to be stored; null: nothing.
const char* fault_of(const wire::AuthzRecord& authz);

// A reader lent from the pool.
class Store::Lease {
 public:
  explicit Lease(Store& store) : store_(store) {
    std::unique_lock lock(store.readers_mutex_);
    store.reader_back_.wait(lock, [&] { return !store.readers_.empty(); });
    connection_.emplace(std::move(store.readers_.back()));
    store.readers_.pop_back();
  }
  ~Lease() {
    const std::lock_guard lock(store_.readers_mutex_);
    store_.readers_.push_back(std::move(*connection_));
    store_.reader_back_.notify_one();
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Connection& connection() { return *connection_; }

 private:
  Store& store_;
  std::optional<Connection> connection_;
};

// What a new order owes to authorizations that are there already.
struct Store::RelyOn {
  std::vector<std::int64_t> numbers;
  std::int64_t expires_at_ms = 0;  // of the order: no later than any of theirs
};

// A challenge with what its end decides on.
struct Store::StoredChallenge {
  std::int64_t number = 0;
  ChallengeStatus status{};
  std::int64_t authz_number = 0;
  std::int64_t order_number = 0;  // 0: begun without an order
  std::int64_t order_expires_at_ms = 0;
  std::int64_t order_reused = 0;
  bool open = false;  // authorization, order and account still wait for it
};

template <class Body>
auto Store::write(Promise promise, Body body) -> decltype(body(std::declval<Connection&>())) {
  if (failed()) return failed_failure();
  std::uint64_t commit = 0;
  std::unique_lock lock(writer_mutex_);
  Connection& db = *writer_;
  const auto changes_before = db.changes_ever();
  STORE_CHECK(Query(db, kBegin).finish());
  auto answer = body(db);
  Status ended;
  if (answer) ended = Query(db, kCommit).finish();
  if (!answer || !ended) {
    // SQLite may have rolled back by itself (disk full); then this one says so and changes nothing.
    static_cast<void>(Query(db, kRollback).finish());
    if (!answer) return answer;
    return convert(ended.error());
  }
  // Nothing changed: still nobody is told of a row that is not durable yet.
  commit = db.changes_ever() == changes_before ? log_->last() : log_->committed();
  lock.unlock();
  if (promise == Promise::kNormal) return answer;
  if (const auto durable = log_->wait_durable(commit); !durable) {
    failed_ = true;
    return convert(durable.error());
  }
  return answer;
}

// One snapshot for the whole body.
template <class Body>
auto Store::read(Body body) -> decltype(body(std::declval<Connection&>())) {
  if (failed()) return failed_failure();
  Lease lease(*this);
  STORE_CHECK(Query(lease.connection(), kBeginRead).finish());
  auto answer = body(lease.connection());
  static_cast<void>(Query(lease.connection(), kCommit).finish());
  return answer;
}

}  // namespace keyward::store
