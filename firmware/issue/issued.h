// Owns the memory of orders that reached the ledger: the same finalize again gets the same
// certificate and costs no signature; another CSR for the same order is refused (DESIGN §2.4). Must
// not know certificates: it keeps where in the ledger they stand.
//
// One caller at a time works on an order: a second one with the same CSR waits for it. After a
// failed or abandoned intent the same CSR may try again (a new intent, a new serial); another CSR
// never may, since a signature over the first may exist. Entries live until the ticket expires.
//
// An order with automatic renewal (RFC 8739) is remembered with the period of its latest
// certificate; a caller that comes for a later one gets a claim again, until the series is canceled.
// Threads: any.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <queue>
#include <unordered_map>
#include <utility>
#include <variant>

#include "firmware/issue/digest_hash.h"
#include "firmware/issue/ledger_rows.h"
#include "firmware/issue/verdict.h"

namespace keyward::issue {

struct IssuedPlace {
  RowPlace intent;
  RowPlace outcome;
  std::optional<std::uint64_t> star_period;
};

struct OrderKey {
  TicketId ticket_id{};
  Digest256 thumbprint{};
  Digest256 csr_sha256{};
  std::int64_t expires_at_ms = 0;
  std::optional<std::uint64_t> star_period;  // automatic renewal: the period that is wanted
};

class IssuedOrders;

// The right to work on one order, until it ends.
class OrderClaim {
 public:
  OrderClaim(IssuedOrders* orders, const TicketId& id, bool renews)
      : orders_(orders), id_(id), renews_(renews) {}
  OrderClaim(OrderClaim&& other) noexcept
      : orders_(std::exchange(other.orders_, nullptr)), id_(other.id_), renews_(other.renews_) {}
  OrderClaim& operator=(OrderClaim&&) = delete;
  ~OrderClaim();
  void intent_written(const RowPlace& intent);  // from here the order is bound to its CSR
  void issued(const RowPlace& outcome);
  // A certificate of this series stands in the ledger as issued.
  bool renews() const { return renews_; }
  void canceled();  // from here there is no claim on the order any more

 private:
  IssuedOrders* orders_;
  TicketId id_;
  bool renews_;
};

class IssuedOrders {
 public:
  explicit IssuedOrders(std::size_t orders_max = limits::kIssuedOrdersMax)
      : orders_max_(orders_max) {}

  // A claim, or where the certificate stands. "order-already-issued" (another CSR), "order-busy"
  // (the first call takes too long), "orders-full", "star-canceled".
  using Claim = std::variant<OrderClaim, IssuedPlace>;
  Verdict<Claim> claim(const OrderKey& key, std::int64_t now_ms,
                       std::int64_t wait_ms = limits::kDuplicateWaitMs);
  // To end a series; empty: it was ended before. "star-cancel-invalid" (no certificate of a series
  // was issued for this ticket), "order-busy".
  Verdict<std::optional<OrderClaim>> claim_to_cancel(
      const TicketId& id, std::int64_t now_ms, std::int64_t wait_ms = limits::kDuplicateWaitMs);
  bool any_of(const Digest256& thumbprint, std::int64_t now_ms);
  // An intent for this order with this CSR stands in the ledger.
  bool reached_ledger(const TicketId& id, const Digest256& csr_sha256) const;

  // Rebuilding from the ledger at start: rows in their order.
  void note_intent(const OrderKey& key, const RowPlace& intent, std::uint64_t row,
                   std::int64_t now_ms);
  void note_outcome(std::uint64_t intent_row, bool issued, const RowPlace& outcome);
  void note_cancellation(const TicketId& id);
  std::size_t size() const;

 private:
  friend class OrderClaim;
  struct Entry {
    OrderKey key;
    bool busy = false;
    bool intended = false;
    bool issued = false;
    bool canceled = false;
    RowPlace intent;    // the latest; its outcome may not have come
    IssuedPlace place;  // of the latest certificate
  };
  struct Expiry {
    std::int64_t at_ms;
    TicketId id;
    bool operator>(const Expiry& other) const { return at_ms > other.at_ms; }
  };
  void prune(std::int64_t now_ms);
  void mark_intended(Entry& entry, const RowPlace& intent);
  static void mark_issued(Entry& entry, const RowPlace& intent,
                          const std::optional<std::uint64_t>& period, const RowPlace& outcome);
  static bool is_answer_to(const Entry& entry, const OrderKey& key);
  void finish(const TicketId& id);

  std::size_t orders_max_;
  mutable std::mutex mutex_;
  std::condition_variable finished_;
  std::unordered_map<TicketId, Entry, RandomOctetsHash> entries_;
  std::priority_queue<Expiry, std::vector<Expiry>, std::greater<>>
      expiries_;  // of intended entries, once each
  std::unordered_map<Digest256, std::size_t, RandomOctetsHash> intended_per_account_;
  struct Pending {
    TicketId id{};
    RowPlace intent;
    std::optional<std::uint64_t> star_period;
  };
  std::unordered_map<std::uint64_t, Pending> without_outcome_;  // during rebuilding alone
};

}  // namespace keyward::issue
