#include "firmware/acme/accounts.h"

namespace keyward::acme {

AccountPtr AccountCache::find(std::string_view id) {
  const std::lock_guard lock(x_mutex);
  const auto found = x_by_id.find(id);
  if (found == x_by_id.end()) return nullptr;
  x_order.splice(x_order.begin(), x_order, found->second);
  return *found->second;
}

std::uint64_t AccountCache::generation() const {
  const std::lock_guard lock(x_mutex);
  return x_generation;
}

void AccountCache::keep(AccountPtr account, std::uint64_t generation) {
  const std::lock_guard lock(x_mutex);
  if (generation != x_generation) return;  // something changed since the store was asked
  if (x_by_id.contains(account->record.id)) return;
  if (x_order.size() >= x_accounts_max) {
    x_by_id.erase(x_order.back()->record.id);
    x_order.pop_back();
  }
  x_order.push_front(std::move(account));
  x_by_id.emplace(x_order.front()->record.id, x_order.begin());
}

void AccountCache::forget(std::string_view id) {
  const std::lock_guard lock(x_mutex);
  ++x_generation;
  const auto found = x_by_id.find(id);
  if (found == x_by_id.end()) return;
  const auto at = found->second;
  x_by_id.erase(found);
  x_order.erase(at);
}

std::size_t AccountCache::size() const {
  const std::lock_guard lock(x_mutex);
  return x_order.size();
}

}  // namespace keyward::acme
