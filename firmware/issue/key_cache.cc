#include "firmware/issue/key_cache.h"

namespace keyward::issue {

Result<std::shared_ptr<const jose::Jwk>> KeyCache::get(std::string_view canonical) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_text_.find(canonical);
    if (found != by_text_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return *found->second;
    }
  }
  KEYWARD_TRY(parsed,
              jose::Jwk::from_canonical(canonical));  // outside the lock: it is the dear part
  auto key = std::make_shared<const jose::Jwk>(std::move(parsed));
  const std::lock_guard lock(mutex_);
  if (by_text_.contains(canonical)) return key;
  order_.push_front(key);
  by_text_.emplace(key->canonical(), order_.begin());
  if (order_.size() > keys_max_) {
    by_text_.erase(order_.back()->canonical());
    order_.pop_back();
  }
  return key;
}

std::size_t KeyCache::size() const {
  const std::lock_guard lock(mutex_);
  return order_.size();
}

}  // namespace keyward::issue
