// Owns parsed account keys by their canonical JWK text: decoding a key costs twice a verification
// (field notes). Must not know accounts: the text is the identity. Bounded, least recently used
// goes. Threads: any.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "firmware/jose/jwk.h"
#include "hal/base/limits.h"

namespace keyward::issue {

class KeyCache {
 public:
  explicit KeyCache(std::size_t keys_max = limits::kSignerKeyCacheMax) : keys_max_(keys_max) {}
  Result<std::shared_ptr<const jose::Jwk>> get(
      std::string_view canonical);  // errors of Jwk::from_canonical
  std::size_t size() const;

 private:
  using Order = std::list<std::shared_ptr<const jose::Jwk>>;  // most recently used first
  std::size_t keys_max_;
  mutable std::mutex mutex_;
  Order order_;
  std::unordered_map<std::string_view, Order::iterator> by_text_;  // views into the keys themselves
};

}  // namespace keyward::issue
