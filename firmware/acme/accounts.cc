#include "firmware/acme/accounts.h"

namespace keyward::acme {

AccountPtr AccountCache::find(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return *found->second;
}

std::uint64_t AccountCache::generation() const {
  const std::lock_guard lock(mutex_);
  return generation_;
}

void AccountCache::keep(AccountPtr account, std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  if (generation != generation_) return;  // something changed since the store was asked
  if (by_id_.contains(account->record.id)) return;
  if (order_.size() >= accounts_max_) {
    by_id_.erase(order_.back()->record.id);
    order_.pop_back();
  }
  order_.push_front(std::move(account));
  by_id_.emplace(order_.front()->record.id, order_.begin());
}

void AccountCache::forget(std::string_view id) {
  const std::lock_guard lock(mutex_);
  ++generation_;
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  const auto at = found->second;
  by_id_.erase(found);
  order_.erase(at);
}

std::size_t AccountCache::size() const {
  const std::lock_guard lock(mutex_);
  return order_.size();
}

}  // namespace keyward::acme
