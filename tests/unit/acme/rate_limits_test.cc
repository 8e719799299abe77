// Tests the rate limits alone.
#include "firmware/acme/rate_limits.h"

#include <set>

#include <gtest/gtest.h>

#include "tests/unit/acme/fakes.h"

namespace keyward::acme {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

RatePolicy policy_of(Rate rate, std::int64_t per_hour) {
  RatePolicy policy;
  policy.per_hour[static_cast<std::size_t>(rate)] = per_hour;
  return policy;
}

std::string header_of(const Problem& problem, std::string_view name) {
  for (const auto& [key, value] : problem.headers)
    if (key == name) return value;
  return "";
}

TEST(RateLimits, BucketEmpty_429WithRetryAfterUntilItFillsAgain) {
  test::TestClock clock;
  RateLimits rates(policy_of(Rate::kOrdersPerAccount, 6), clock);
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(rates.admit(Rate::kOrdersPerAccount, "a")) << i;
  const auto refused = rates.admit(Rate::kOrdersPerAccount, "a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 429);
  EXPECT_EQ(refused.error().code, "rate.orders-per-account");
  EXPECT_EQ(header_of(refused.error(), "Retry-After"), "600");
  EXPECT_EQ(header_of(refused.error(), "Link"), "");
  EXPECT_TRUE(rates.admit(Rate::kOrdersPerAccount, "b"));  // another key
  clock.advance(10 * kMinuteMs);
  EXPECT_TRUE(rates.admit(Rate::kOrdersPerAccount, "a"));
  EXPECT_FALSE(rates.admit(Rate::kOrdersPerAccount, "a"));
  clock.advance(60 * kMinuteMs);
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(rates.admit(Rate::kOrdersPerAccount, "a")) << i;
  EXPECT_FALSE(rates.admit(Rate::kOrdersPerAccount, "a"));
}

TEST(RateLimits, EachRate_HasItsOwnCodeAndRefuses) {
  test::TestClock clock;
  std::set<std::string_view> codes, keys;
  for (const auto& row : kRateRows) {
    RateLimits rates(policy_of(row.rate, 1), clock);
    EXPECT_TRUE(rates.admit(row.rate, "k"));
    const auto refused = rates.admit(row.rate, "k");
    ASSERT_FALSE(refused) << row.key;
    EXPECT_EQ(refused.error().code, row.code);
    EXPECT_TRUE(codes.insert(row.code).second);
    EXPECT_TRUE(keys.insert(row.key).second);
  }
}

TEST(RateLimits, SeveralUses_AllOrNone) {
  test::TestClock clock;
  auto policy = policy_of(Rate::kOrders, 1);
  policy.per_hour[static_cast<std::size_t>(Rate::kOrdersPerAccount)] = 2;
  RateLimits rates(policy, clock);
  EXPECT_TRUE(rates.admit({{Rate::kOrdersPerAccount, "a"}, {Rate::kOrders, {}}}));
  const auto refused = rates.admit({{Rate::kOrdersPerAccount, "a"}, {Rate::kOrders, {}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "rate.orders");
  EXPECT_TRUE(rates.check({{Rate::kOrdersPerAccount, "a"}}));  // was not charged
  EXPECT_TRUE(rates.check({{Rate::kOrdersPerAccount, "a"}}));  // nor by asking
}

TEST(RateLimits, Charge_BeyondEmpty_LocksOutNoLongerThanOneCell) {
  test::TestClock clock;
  RateLimits rates(policy_of(Rate::kFailuresPerName, 4), clock);
  for (int i = 0; i < 100; ++i) rates.charge({{Rate::kFailuresPerName, "a"}});
  EXPECT_FALSE(rates.check({{Rate::kFailuresPerName, "a"}}));
  clock.advance(31 * kMinuteMs);
  EXPECT_TRUE(rates.check({{Rate::kFailuresPerName, "a"}}));
}

TEST(RateLimits, Zero_IsNoLimit) {
  test::TestClock clock;
  RateLimits rates(policy_of(Rate::kKeyChanges, 0), clock);
  for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(rates.admit(Rate::kKeyChanges, "a"));
  EXPECT_EQ(rates.size(), 0U);
}

TEST(RateLimits, HelpUrl_IsLinked) {
  test::TestClock clock;
  auto policy = policy_of(Rate::kKeyChanges, 1);
  policy.help_url = "https://ca.test/limits";
  RateLimits rates(policy, clock);
  EXPECT_TRUE(rates.admit(Rate::kKeyChanges, "a"));
  EXPECT_EQ(header_of(rates.admit(Rate::kKeyChanges, "a").error(), "Link"),
            "<https://ca.test/limits>;rel=\"help\"");
}

TEST(RateLimits, MoreKeysThanTheTable_TheOldestGoes) {
  test::TestClock clock;
  RateLimits rates(policy_of(Rate::kKeyChanges, 1), clock);
  EXPECT_TRUE(rates.admit(Rate::kKeyChanges, "first"));
  for (std::size_t i = 0; i < limits::kRateKeysMax; ++i)
    EXPECT_TRUE(rates.admit(Rate::kKeyChanges, std::to_string(i)));
  EXPECT_EQ(rates.size(), limits::kRateKeysMax);
  EXPECT_TRUE(rates.admit(Rate::kKeyChanges, "first"));
  EXPECT_FALSE(rates.admit(Rate::kKeyChanges, std::to_string(limits::kRateKeysMax - 1)));
}

TEST(RateLimits, AddressPrefix_IsTheSubscribersPart) {
  EXPECT_EQ(address_prefix("192.0.2.7"), address_prefix("192.0.2.250"));
  EXPECT_NE(address_prefix("192.0.2.7"), address_prefix("192.0.3.7"));
  EXPECT_EQ(address_prefix("::ffff:192.0.2.7"), address_prefix("192.0.2.7"));
  EXPECT_EQ(address_prefix("2001:db8:1::1"), address_prefix("2001:db8:1:ffff::2"));
  EXPECT_NE(address_prefix("2001:db8:1::1"), address_prefix("2001:db8:2::1"));
  EXPECT_EQ(address_prefix("unknown"), "unknown");
}

}  // namespace
}  // namespace keyward::acme
