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

// Jobs of `owner` that run until `open`.
void post_many(JobQueue& jobs, const std::string& owner, int count, std::shared_future<void> open,
               std::atomic<int>& running) {
  for (int i = 0; i < count; ++i)
    (void)jobs.post(
        owner + std::to_string(i),
        [open, &running](int) -> Again {
          ++running;
          open.wait();
          return std::nullopt;
        },
        0, owner);
}

TEST(Jobs, OneOwnerOfMany_HasHalfOfTheThreads) {
  JobQueue jobs(4, 1'000);
  std::promise<void> open;
  std::atomic<int> running{0};
  post_many(jobs, "greedy", 100, open.get_future().share(), running);
  while (running < 2) std::this_thread::yield();
  ASSERT_TRUE(jobs.post(
      "other", [](int) -> Again { return std::nullopt; }, 0, "modest"));
  EXPECT_TRUE(jobs.wait("other", 10'000));
  EXPECT_EQ(running, 2);
  open.set_value();
  EXPECT_TRUE(jobs.wait("greedy99", 10'000));
}

TEST(Jobs, TwoOwnersOfMany_LeaveTheLastQuarter) {
  JobQueue jobs(8, 1'000);
  std::promise<void> open;
  std::atomic<int> running{0};
  auto opened = open.get_future().share();
  post_many(jobs, "first", 100, opened, running);
  post_many(jobs, "second", 100, opened, running);
  while (running < 6) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) {
    const std::string key = "other" + std::to_string(i);
    ASSERT_TRUE(jobs.post(
        key, [](int) -> Again { return std::nullopt; }, 0, key));
    EXPECT_TRUE(jobs.wait(key, 10'000));
  }
  EXPECT_EQ(running, 6);
  open.set_value();
  EXPECT_TRUE(jobs.wait("second99", 10'000));
}

TEST(Jobs, Due_OwnerServedLeast_GoesFirst) {
  JobQueue jobs(1, 1'000);
  std::promise<void> open;
  auto opened = open.get_future().share();
  std::vector<std::string> order;
  std::atomic<bool> begun{false};
  const auto put = [&](const std::string& key, const std::string& owner) {
    ASSERT_TRUE(jobs.post(
        key,
        [&, key](int) -> Again {
          begun = true;
          opened.wait();
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
          order.push_back(key);
          return std::nullopt;
        },
        0, owner));
  };
  put("a0", "a");
  while (!begun) std::this_thread::yield();
  for (int i = 1; i < 20; ++i) put("a" + std::to_string(i), "a");
  put("b0", "b");
  open.set_value();
  EXPECT_TRUE(jobs.wait("b0", 10'000));
  EXPECT_TRUE(jobs.wait("a19", 10'000));
  ASSERT_EQ(order.size(), 21U);
  EXPECT_EQ(order[0], "a0");
  EXPECT_EQ(order[1], "b0");
}

TEST(Jobs, Full_OwnerOfMost_LosesTheLastToOwnerOfFewer) {
  JobQueue jobs(1, 8);
  std::promise<void> open;
  std::atomic<int> running{0};
  auto opened = open.get_future().share();
  post_many(jobs, "greedy", 8, opened, running);
  while (running < 1) std::this_thread::yield();
  post_many(jobs, "greedy", 9, opened, running);  // for himself nobody else loses anything
  EXPECT_FALSE(jobs.has("greedy8"));
  post_many(jobs, "modest", 1, opened, running);
  EXPECT_TRUE(jobs.has("modest0"));
  EXPECT_FALSE(jobs.has("greedy7"));
  EXPECT_TRUE(jobs.has("greedy6"));
  open.set_value();
}

TEST(Jobs, Full_JobsOfNobody_AreNotDisplaced) {
  JobQueue jobs(1, 2);
  std::promise<void> open;
  auto opened = open.get_future().share();
  const auto job = [&](int) -> Again {
    opened.wait();
    return std::nullopt;
  };
  ASSERT_TRUE(jobs.post("a", job));
  ASSERT_TRUE(jobs.post("b", job));
  EXPECT_FALSE(jobs.post("c", job, 0, "owner"));
  open.set_value();
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
