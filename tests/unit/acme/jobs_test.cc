// Tests the job queue: once per key, retries, its limit, its end.
#include "firmware/acme/jobs.h"

#include <atomic>
#include <future>
#include <thread>

#include <gtest/gtest.h>

#include "hal/base/clock.h"
#include "hal/base/limits.h"

namespace keyward::acme {
namespace {

using Again = std::optional<std::int64_t>;

TEST(Jobs, Posted_Runs_AndIsForgotten) {
  JobQueue jobs(2, 8);
  std::atomic<int> runs{0};
  ASSERT_TRUE(jobs.post("a", [&](int) -> Again {
    ++runs;
    return std::nullopt;
  }));
  EXPECT_TRUE(jobs.wait("a", 10'000));
  EXPECT_EQ(runs, 1);
  EXPECT_FALSE(jobs.has("a"));
}

TEST(Jobs, AsksForMore_TriedAgainWithItsAttempt) {
  JobQueue jobs(1, 8);
  std::vector<int> attempts;
  ASSERT_TRUE(jobs.post("a", [&](int attempt) -> Again {
    attempts.push_back(attempt);
    return attempt < 3 ? Again(1) : Again();
  }));
  EXPECT_TRUE(jobs.wait("a", 10'000));
  EXPECT_EQ(attempts, (std::vector<int>{0, 1, 2, 3}));
}

TEST(Jobs, SameKey_WhileItRuns_NotRunTwice) {
  JobQueue jobs(2, 8);
  std::promise<void> open;
  auto opened = open.get_future().share();
  std::atomic<int> runs{0};
  const auto job = [&](int) -> Again {
    ++runs;
    opened.wait();
    return std::nullopt;
  };
  ASSERT_TRUE(jobs.post("a", job));
  ASSERT_TRUE(jobs.post("a", job));
  EXPECT_FALSE(jobs.wait("a", 20));
  open.set_value();
  EXPECT_TRUE(jobs.wait("a", 10'000));
  EXPECT_EQ(runs, 1);
}

TEST(Jobs, Full_RefusedAndSaid) {
  JobQueue jobs(1, 2);
  std::promise<void> open;
  auto opened = open.get_future().share();
  const auto job = [&](int) -> Again {
    opened.wait();
    return std::nullopt;
  };
  ASSERT_TRUE(jobs.post("a", job));
  EXPECT_TRUE(jobs.has_room());
  ASSERT_TRUE(jobs.post("b", job));
  EXPECT_FALSE(jobs.has_room());
  const auto refused = jobs.post("c", job);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kExhausted);
  open.set_value();
}

TEST(Jobs, Stopped_TakesNoMore) {
  JobQueue jobs(1, 2);
  jobs.stop();
  const auto refused = jobs.post("a", [](int) -> Again { return std::nullopt; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
}

TEST(Jobs, Backoff_GrowsToItsLimit) {
  EXPECT_EQ(backoff_ms(0), limits::kJobBackoffMsMin);
  EXPECT_EQ(backoff_ms(1), limits::kJobBackoffMsMin * 2);
  EXPECT_EQ(backoff_ms(60), limits::kJobBackoffMsMax);
}

TEST(Jobs, Hasten_WaitingKey_TriedAfterThePause) {
  std::atomic<int> tries{0};
  JobQueue jobs(1, 4);
  ASSERT_TRUE(jobs.post("key", [&](int) -> std::optional<std::int64_t> {
    return ++tries == 1 ? std::optional<std::int64_t>(3'600'000) : std::nullopt;
  }));
  while (tries < 1) std::this_thread::yield();
  jobs.hasten("other", 0);  // not here: nothing happens
  // Until the first try has come back it cannot be brought forward.
  const auto deadline = Deadline::after_ms(10'000);
  while (!jobs.wait("key", 1) && !deadline.passed()) jobs.hasten("key", 5);
  EXPECT_EQ(tries, 2);
}

}  // namespace
}  // namespace keyward::acme
