#include "firmware/acme/rate_limits.h"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>

#include "firmware/crypto/crypto.h"
#include "firmware/identifier/identifier.h"
#include "hal/base/limits.h"

namespace keyward::acme {
namespace {

constexpr std::int64_t kHourNs = 3'600'000'000'000;
constexpr std::int64_t kSecondNs = 1'000'000'000;

constexpr std::size_t index_of(Rate rate) { return static_cast<std::size_t>(rate); }

constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < kRateRows.size(); ++i) {
    if (index_of(kRateRows[i].rate) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order(), "kRateRows is read by the number of the rate");

bool is_overall(Rate rate) {
  return rate == Rate::kAccounts || rate == Rate::kOrders || rate == Rate::kFailures ||
         rate == Rate::kRecoveries;
}

}  // namespace

RatePolicy::RatePolicy() {
  for (const auto& row : kRateRows) per_hour[index_of(row.rate)] = row.per_hour;
}

RateLimits::RateLimits(RatePolicy policy, const Clock& clock)
    : policy_(std::move(policy)), clock_(clock) {}

std::size_t RateLimits::KeyHash::operator()(const Key& key) const {
  std::size_t out = 0;  // the key is a hash already
  std::memcpy(&out, key.data(), sizeof out);
  return out;
}

// Hashed, so that an entry is small however long the name is.
RateLimits::Key RateLimits::key_of(const RateUse& use) const {
  const std::uint8_t number = static_cast<std::uint8_t>(use.rate);
  const auto digest = crypto::sha256({&number, 1}, view_of(use.key));
  Key key{};
  std::copy_n(digest.begin(), key.size(), key.begin());
  return key;
}

std::int64_t RateLimits::full_at_ns(const Key& key, std::int64_t now_ns) const {
  const auto at = by_key_.find(key);
  return at == by_key_.end() ? now_ns : std::max(now_ns, at->second->full_at_ns);
}

void RateLimits::put(const Key& key, std::int64_t full_at) {
  if (const auto at = by_key_.find(key); at != by_key_.end()) {
    at->second->full_at_ns = full_at;
    order_.splice(order_.begin(), order_, at->second);
    return;
  }
  if (order_.size() >= limits::kRateKeysMax) {
    by_key_.erase(order_.back().key);
    order_.pop_back();
  }
  order_.push_front(Bucket{key, full_at});
  by_key_.emplace(key, order_.begin());
}

std::int64_t RateLimits::wait_ns(const RateUse& use, std::int64_t now_ns) const {
  const auto per_hour = policy_.per_hour[index_of(use.rate)];
  if (per_hour == 0) return 0;
  const auto full_at = is_overall(use.rate) ? std::max(now_ns, overall_[index_of(use.rate)])
                                            : full_at_ns(key_of(use), now_ns);
  return std::max<std::int64_t>(0, full_at + kHourNs / per_hour - now_ns - kHourNs);
}

Problem RateLimits::refusal(Rate rate, std::int64_t wait) const {
  auto problem = Problem::of(ProblemType::kRateLimited, kRateRows[index_of(rate)].code,
                             "too many requests of this kind within an hour")
                     .retry_after_s((wait + kSecondNs - 1) / kSecondNs);
  if (policy_.help_url.empty()) return problem;
  return std::move(problem).with_header("Link", "<" + policy_.help_url + ">;rel=\"help\"");
}

Outcome<void> RateLimits::judge(std::initializer_list<RateUse> uses, std::int64_t now_ns) const {
  for (const auto& use : uses) {
    if (const auto wait = wait_ns(use, now_ns); wait > 0) return refuse(refusal(use.rate, wait));
  }
  return {};
}

void RateLimits::take(std::initializer_list<RateUse> uses, std::int64_t now_ns) {
  for (const auto& use : uses) {
    const auto per_hour = policy_.per_hour[index_of(use.rate)];
    if (per_hour == 0) continue;
    // Never further ahead than one cell over an empty bucket: what is charged afterwards must not
    // lock a client out for longer than the hour.
    const auto latest = now_ns + kHourNs + kHourNs / per_hour;
    if (is_overall(use.rate)) {
      auto& at = overall_[index_of(use.rate)];
      at = std::min(latest, std::max(now_ns, at) + kHourNs / per_hour);
      continue;
    }
    const auto key = key_of(use);
    put(key, std::min(latest, full_at_ns(key, now_ns) + kHourNs / per_hour));
  }
}

Outcome<void> RateLimits::admit(std::initializer_list<RateUse> uses) {
  const auto now_ns = clock_.monotonic_ms() * 1'000'000;
  const std::lock_guard lock(mutex_);
  if (auto ok = judge(uses, now_ns); !ok) return ok;
  take(uses, now_ns);
  return {};
}

Outcome<void> RateLimits::check(std::initializer_list<RateUse> uses) {
  const auto now_ns = clock_.monotonic_ms() * 1'000'000;
  const std::lock_guard lock(mutex_);
  return judge(uses, now_ns);
}

void RateLimits::charge(std::initializer_list<RateUse> uses) {
  const auto now_ns = clock_.monotonic_ms() * 1'000'000;
  const std::lock_guard lock(mutex_);
  take(uses, now_ns);
}

std::size_t RateLimits::size() const {
  const std::lock_guard lock(mutex_);
  return order_.size();
}

std::string address_prefix(std::string_view address) {
  constexpr std::size_t kV4Octets = 3, kV6Octets = 6;
  const std::string text(address);
  in_addr v4{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1)
    return "4:" + hex_encode({reinterpret_cast<const std::uint8_t*>(&v4), kV4Octets});
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) != 1) return text;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return "4:" + hex_encode({v6.s6_addr + 12, kV4Octets});
  return "6:" + hex_encode({v6.s6_addr, kV6Octets});
}

std::string failure_key(std::string_view account_id, const wire::Identifier& identifier) {
  std::string key(account_id);
  key += '/';
  key += identifier::to_string(identifier.type);
  key += '/';
  return key + identifier.value;
}

}  // namespace keyward::acme
