// Owns the cache of accounts: who an account URL belongs to, with the key ready to verify. Must not
// know HTTP. Reason: decoding a key costs more than half a verification, and a store call per
// request more.
//
// Coherence: acme is the only task that changes accounts, and calls `forget` after each change. A
// load that began before a change is not kept (`generation`). Bounded, least recently used goes
// first. Threads: any.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "firmware/jose/jwk.h"
#include "firmware/wire/messages/records.h"

namespace keyward::acme {

struct Account {
  wire::AccountRecord record;
  jose::Jwk jwk;
};
using AccountPtr = std::shared_ptr<const Account>;

class AccountCache {
 public:
  explicit AccountCache(std::size_t accounts_max) : accounts_max_(accounts_max) {}
  AccountPtr find(std::string_view id);  // null: not here
  std::uint64_t generation() const;      // to be taken before the store is asked
  void keep(AccountPtr account, std::uint64_t generation);
  void forget(std::string_view id);
  std::size_t size() const;

 private:
  using Order = std::list<AccountPtr>;  // most recently used first
  mutable std::mutex mutex_;
  const std::size_t accounts_max_;
  std::uint64_t generation_ = 0;
  Order order_;
  std::unordered_map<std::string_view, Order::iterator> by_id_;  // views into the account's own id
};

}  // namespace keyward::acme
