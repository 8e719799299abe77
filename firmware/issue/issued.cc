#include "firmware/issue/issued.h"

#include <chrono>

namespace keyward::issue {

OrderClaim::~OrderClaim() {
  if (orders_ != nullptr) orders_->finish(id_);
}

void OrderClaim::intent_written(const RowPlace& intent) {
  const std::lock_guard lock(orders_->mutex_);
  orders_->mark_intended(orders_->entries_.at(id_), intent);
}

void OrderClaim::issued(const RowPlace& outcome) {
  const std::lock_guard lock(orders_->mutex_);
  auto& entry = orders_->entries_.at(id_);
  IssuedOrders::mark_issued(entry, entry.intent, entry.key.star_period, outcome);
}

void OrderClaim::canceled() {
  const std::lock_guard lock(orders_->mutex_);
  orders_->entries_.at(id_).canceled = true;
}

void IssuedOrders::mark_issued(Entry& entry, const RowPlace& intent,
                               const std::optional<std::uint64_t>& period,
                               const RowPlace& outcome) {
  entry.issued = true;
  entry.place = {intent, outcome, period};
}

// An order without renewal has one certificate. A period that was left out is never made later.
bool IssuedOrders::is_answer_to(const Entry& entry, const OrderKey& key) {
  if (!entry.issued) return false;
  return !key.star_period || !entry.place.star_period ||
         *key.star_period <= *entry.place.star_period;
}

void IssuedOrders::mark_intended(Entry& entry, const RowPlace& intent) {
  entry.intent = intent;
  if (entry.intended) return;
  entry.intended = true;
  expiries_.push({entry.key.expires_at_ms, entry.key.ticket_id});
  ++intended_per_account_[entry.key.thumbprint];
}

void IssuedOrders::finish(const TicketId& id) {
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(id);
    entry->second.busy = false;
    if (!entry->second.intended)
      entries_.erase(entry);  // nothing reached the ledger: the order is as before
  }
  finished_.notify_all();
}

void IssuedOrders::prune(std::int64_t now_ms) {
  std::size_t left = expiries_.size();
  while (left-- > 0 && expiries_.top().at_ms <= now_ms) {
    const auto expiry = expiries_.top();
    expiries_.pop();
    const auto entry = entries_.find(expiry.id);
    if (entry == entries_.end()) continue;
    if (entry->second.busy) {  // its caller still refers to it
      expiries_.push({now_ms + 1'000, expiry.id});
      continue;
    }
    const auto account = intended_per_account_.find(entry->second.key.thumbprint);
    if (--account->second == 0) intended_per_account_.erase(account);
    entries_.erase(entry);
  }
}

Verdict<IssuedOrders::Claim> IssuedOrders::claim(const OrderKey& key, std::int64_t now_ms,
                                                 std::int64_t wait_ms) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  std::unique_lock lock(mutex_);
  prune(now_ms);
  while (true) {
    const auto found = entries_.find(key.ticket_id);
    if (found == entries_.end()) break;
    Entry& entry = found->second;
    // Before the intent the order is not bound yet, but two different CSRs at the same time are
    // refused too.
    if (entry.key.csr_sha256 != key.csr_sha256)
      return refuse("order-already-issued", "the order was finalized with another CSR");
    if (entry.canceled) return refuse("star-canceled", "the client has ended the renewals");
    if (is_answer_to(entry, key)) return Claim(entry.place);
    if (!entry.busy) {
      entry.busy = true;
      entry.key.star_period = key.star_period;
      return Claim(std::in_place_type<OrderClaim>, this, key.ticket_id, entry.issued);
    }
    if (finished_.wait_until(lock, until) == std::cv_status::timeout) {
      return refuse_for_now("order-busy", "the same finalize is being worked on",
                            limits::kHsmAwayRetryMs);
    }
  }
  if (entries_.size() >= orders_max_) {
    return refuse(wire::FailureKind::kExhausted, "orders-full",
                  "too many finalized orders have not expired yet");
  }
  Entry entry;
  entry.key = key;
  entry.busy = true;
  entries_.emplace(key.ticket_id, entry);
  return Claim(std::in_place_type<OrderClaim>, this, key.ticket_id, false);
}

Verdict<std::optional<OrderClaim>> IssuedOrders::claim_to_cancel(const TicketId& id,
                                                                 std::int64_t now_ms,
                                                                 std::int64_t wait_ms) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  std::unique_lock lock(mutex_);
  prune(now_ms);
  while (true) {
    const auto found = entries_.find(id);
    if (found != entries_.end() && found->second.canceled) return std::optional<OrderClaim>();
    const bool busy = found != entries_.end() && found->second.busy;
    if (!busy) {
      if (found == entries_.end() || !found->second.place.star_period)
        return refuse("star-cancel-invalid", "no certificate was issued for this order");
      found->second.busy = true;
      return std::optional<OrderClaim>(std::in_place, this, id, true);
    }
    if (finished_.wait_until(lock, until) == std::cv_status::timeout) {
      return refuse_for_now("order-busy", "a certificate is being made for this order",
                            limits::kHsmAwayRetryMs);
    }
  }
}

bool IssuedOrders::any_of(const Digest256& thumbprint, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  prune(now_ms);
  return intended_per_account_.contains(thumbprint);
}

bool IssuedOrders::reached_ledger(const TicketId& id, const Digest256& csr_sha256) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.intended &&
         found->second.key.csr_sha256 == csr_sha256;
}

void IssuedOrders::note_intent(const OrderKey& key, const RowPlace& intent, std::uint64_t row,
                               std::int64_t now_ms) {
  if (key.expires_at_ms <= now_ms) return;
  const std::lock_guard lock(mutex_);
  auto& entry = entries_[key.ticket_id];
  entry.key = key;
  mark_intended(entry, intent);
  without_outcome_[row] = {key.ticket_id, intent, key.star_period};
}

void IssuedOrders::note_outcome(std::uint64_t intent_row, bool issued, const RowPlace& outcome) {
  const std::lock_guard lock(mutex_);
  const auto found = without_outcome_.find(intent_row);
  if (found == without_outcome_.end()) return;  // its ticket has expired
  const auto& pending = found->second;
  if (issued) mark_issued(entries_.at(pending.id), pending.intent, pending.star_period, outcome);
  without_outcome_.erase(found);
}

void IssuedOrders::note_cancellation(const TicketId& id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found != entries_.end()) found->second.canceled = true;
}

std::size_t IssuedOrders::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace keyward::issue
