// Owns how often a client may do what costs others something (RFC 8555 §6.6). Must not know
// resources, and not the signer's budgets of certificates, which hold even when this task lies.
//
// Each limit is a bucket that holds one hour's worth and fills evenly (the generic cell rate
// algorithm: one time stamp a key). All keyed buckets share one table of at most
// limits::kRateKeysMax entries; the least recently used goes first, and the limits over all clients
// stand beside it, so that nobody gains by filling it. A restart begins with full buckets. A limit of
// 0 is none. Threads: any. Time: the monotonic clock, so that a set clock changes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "firmware/acme/problem.h"
#include "hal/base/clock.h"

namespace keyward::acme {

enum class Rate : std::uint8_t {
  kAccountsPerPrefix,    // key: address_prefix()
  kAccounts,             // no key: all clients together
  kOrdersPerAccount,     // key: account id
  kOrders,               //
  kFailuresPerName,      // key: account id + identifier; charged when a validation failed
  kFailures,             //
  kChallengeRetries,     // key: authorization id; charged for a POST to a challenge begun before
  kKeyChanges,           // key: account id
  kRecoveriesPerPrefix,  // key: address_prefix()
  kRecoveries,           //
};
inline constexpr std::size_t kRateCount = 10;

struct RateRow {
  Rate rate;
  std::string_view key;   // in the section [rate_limits]
  std::string_view code;  // of the problem
  std::int64_t per_hour;  // default
};
// Generous: they stop a client that runs wild, not a fleet that enrols.
inline constexpr std::array<RateRow, kRateCount> kRateRows = {{
    {Rate::kAccountsPerPrefix, "accounts_per_prefix_hour", "rate.accounts-per-prefix", 20'000},
    {Rate::kAccounts, "accounts_per_hour", "rate.accounts", 200'000},
    {Rate::kOrdersPerAccount, "orders_per_account_hour", "rate.orders-per-account", 100'000},
    {Rate::kOrders, "orders_per_hour", "rate.orders", 1'000'000},
    {Rate::kFailuresPerName, "failures_per_name_hour", "rate.failures-per-name", 60},
    {Rate::kFailures, "failures_per_hour", "rate.failures", 50'000},
    {Rate::kChallengeRetries, "challenge_retries_hour", "rate.challenge-retries", 120},
    {Rate::kKeyChanges, "key_changes_per_account_hour", "rate.key-changes", 20},
    {Rate::kRecoveriesPerPrefix, "recoveries_per_prefix_hour", "rate.recoveries-per-prefix", 20},
    {Rate::kRecoveries, "recoveries_per_hour", "rate.recoveries", 200},
}};

struct RatePolicy {
  RatePolicy();
  std::array<std::int64_t, kRateCount> per_hour;  // by Rate; 0: no limit
  std::string help_url;                           // for Link rel="help"; empty: none
};

struct RateUse {
  Rate rate;
  std::string_view key;  // empty where the row says so
};

class RateLimits {
 public:
  RateLimits(RatePolicy policy, const Clock& clock);
  RateLimits(const RateLimits&) = delete;
  RateLimits& operator=(const RateLimits&) = delete;

  // Charges all of them, or, if one has nothing left, none: then 429 rateLimited with Retry-After
  // and, where configured, Link rel="help".
  Outcome<void> admit(std::initializer_list<RateUse> uses);
  Outcome<void> admit(Rate rate, std::string_view key) { return admit({{rate, key}}); }
  // Asks without charging: where it is the failure later that is charged.
  Outcome<void> check(std::initializer_list<RateUse> uses);
  // Charges whatever is left: for what happened already.
  void charge(std::initializer_list<RateUse> uses);

  std::size_t size() const;  // buckets in the table

 private:
  using Key = std::array<std::uint8_t, 16>;
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  struct Bucket {
    Key key;
    std::int64_t full_at_ns;  // when the bucket would be full again
  };
  using Order = std::list<Bucket>;  // most recently used first

  Key key_of(const RateUse& use) const;
  std::int64_t full_at_ns(const Key& key, std::int64_t now_ns) const;
  void put(const Key& key, std::int64_t full_at_ns);
  std::int64_t wait_ns(const RateUse& use, std::int64_t now_ns) const;  // 0: admitted
  Problem refusal(Rate rate, std::int64_t wait_ns) const;
  Outcome<void> judge(std::initializer_list<RateUse> uses, std::int64_t now_ns) const;
  void take(std::initializer_list<RateUse> uses, std::int64_t now_ns);

  const RatePolicy policy_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  Order order_;
  std::unordered_map<Key, Order::iterator, KeyHash> by_key_;
  std::array<std::int64_t, kRateCount> overall_{};  // full_at_ns of those without a key
};

// The part of an address that one subscriber holds: IPv4 /24, IPv6 /48. Anything else: as it is.
std::string address_prefix(std::string_view address);
// The key of kFailuresPerName.
std::string failure_key(std::string_view account_id, const wire::Identifier& identifier);

}  // namespace keyward::acme
