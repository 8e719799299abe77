// Owns the memory of orders that reached the ledger: the same finalize again gets the same
// certificate and costs no signature; another CSR for the same order is refused (DESIGN §2.4). Must
// not know certificates: it keeps where in the ledger they stand.
//
// One caller at a time works on an order: a second one with the same CSR waits for it. After a
// failed or abandoned intent the same CSR may try again (a new intent, a new serial); another CSR
// never may, since a signature over the first may exist. Entries live until the ticket expires.
// Threads: any.
#pragma once

#include <condition_variable>
#include <mutex>
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
};

struct OrderKey {
  TicketId ticket_id{};
  Digest256 thumbprint{};
  Digest256 csr_sha256{};
  std::int64_t expires_at_ms = 0;
};

class IssuedOrders;

// The right to work on one order, until it ends.
class OrderClaim {
 public:
  OrderClaim(IssuedOrders* orders, const TicketId& id) : orders_(orders), id_(id) {}
  OrderClaim(OrderClaim&& other) noexcept
      : orders_(std::exchange(other.orders_, nullptr)), id_(other.id_) {}
  OrderClaim& operator=(OrderClaim&&) = delete;
  ~OrderClaim();
  void intent_written(const RowPlace& intent);  // from here the order is bound to its CSR
  void issued(const RowPlace& outcome);

 private:
  IssuedOrders* orders_;
  TicketId id_;
};

class IssuedOrders {
 public:
  explicit IssuedOrders(std::size_t orders_max = limits::kIssuedOrdersMax)
      : orders_max_(orders_max) {}

  // A claim, or where the certificate stands. "order-already-issued" (another CSR), "order-busy"
  // (the first call takes too long), "orders-full".
  using Claim = std::variant<OrderClaim, IssuedPlace>;
  Verdict<Claim> claim(const OrderKey& key, std::int64_t now_ms,
                       std::int64_t wait_ms = limits::kDuplicateWaitMs);
  bool any_of(const Digest256& thumbprint, std::int64_t now_ms);

  // Rebuilding from the ledger at start: rows in their order.
  void note_intent(const OrderKey& key, const RowPlace& intent, std::uint64_t row,
                   std::int64_t now_ms);
  void note_outcome(std::uint64_t intent_row, bool issued, const RowPlace& outcome);
  std::size_t size() const;

 private:
  friend class OrderClaim;
  struct Entry {
    OrderKey key;
    bool busy = false;
    bool intended = false;
    bool issued = false;
    IssuedPlace place;
  };
  struct Expiry {
    std::int64_t at_ms;
    TicketId id;
    bool operator>(const Expiry& other) const { return at_ms > other.at_ms; }
  };
  void prune(std::int64_t now_ms);
  void mark_intended(Entry& entry, const RowPlace& intent);
  void finish(const TicketId& id);

  std::size_t orders_max_;
  mutable std::mutex mutex_;
  std::condition_variable finished_;
  std::unordered_map<TicketId, Entry, RandomOctetsHash> entries_;
  std::priority_queue<Expiry, std::vector<Expiry>, std::greater<>>
      expiries_;  // of intended entries, once each
  std::unordered_map<Digest256, std::size_t, RandomOctetsHash> intended_per_account_;
  std::unordered_map<std::uint64_t, TicketId> without_outcome_;  // during rebuilding alone
};

}  // namespace keyward::issue
