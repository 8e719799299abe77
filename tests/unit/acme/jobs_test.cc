// Tests the job queue: once per key, retries, its limit, its end.
#include "firmware/acme/jobs.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "hal/base/clock.h"
#include "hal/base/limits.h"

namespace keyward::acme {
namespace {

using Again = std::optional<std::int64_t>;

// A queue whose jobs are held until they are let go. The queue ends before what its jobs look at,
// whichever way a test is left.
class Held {
 public:
  Held(int threads, std::size_t jobs_max) : jobs(threads, jobs_max) {}
  ~Held() { let_go(); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  void let_go() {
    if (!std::exchange(let_go_, true)) open_.set_value();
  }
  // Until so many jobs run; false: they did not within ten seconds.
  bool wait_for_running(int count) const {
    const auto deadline = Deadline::after_ms(10'000);
    while (running < count && !deadline.passed()) std::this_thread::yield();
    return running >= count;
  }
  JobQueue::Job job() {
    return [this](int) -> Again {
      ++running;
      opened_.wait();
      return std::nullopt;
    };
  }
  void post_many(const std::string& owner, int count) {
    for (int i = 0; i < count; ++i) (void)jobs.post(owner + std::to_string(i), job(), 0, owner);
  }

 private:
  std::promise<void> open_;
  std::shared_future<void> opened_ = open_.get_future().share();
  bool let_go_ = false;

 public:
  std::atomic<int> running{0};  // jobs that were begun
  JobQueue jobs;
};

TEST(Jobs, Posted_Runs_AndIsForgotten) {
  std::atomic<int> runs{0};
  JobQueue jobs(2, 8);
  ASSERT_TRUE(jobs.post("a", [&](int) -> Again {
    ++runs;
    return std::nullopt;
  }));
  EXPECT_TRUE(jobs.wait("a", 10'000));
  EXPECT_EQ(runs, 1);
  EXPECT_FALSE(jobs.has("a"));
}

TEST(Jobs, AsksForMore_TriedAgainWithItsAttempt) {
  std::vector<int> attempts;
  JobQueue jobs(1, 8);
  ASSERT_TRUE(jobs.post("a", [&](int attempt) -> Again {
    attempts.push_back(attempt);
    return attempt < 3 ? Again(1) : Again();
  }));
  EXPECT_TRUE(jobs.wait("a", 10'000));
  EXPECT_EQ(attempts, (std::vector<int>{0, 1, 2, 3}));
}

TEST(Jobs, SameKey_WhileItRuns_NotRunTwice) {
  Held held(2, 8);
  ASSERT_TRUE(held.jobs.post("a", held.job()));
  ASSERT_TRUE(held.jobs.post("a", held.job()));
  EXPECT_FALSE(held.jobs.wait("a", 20));
  held.let_go();
  EXPECT_TRUE(held.jobs.wait("a", 10'000));
  EXPECT_EQ(held.running, 1);
}

TEST(Jobs, Full_RefusedAndSaid) {
  Held held(1, 2);
  ASSERT_TRUE(held.jobs.post("a", held.job()));
  EXPECT_TRUE(held.jobs.has_room());
  ASSERT_TRUE(held.jobs.post("b", held.job()));
  EXPECT_FALSE(held.jobs.has_room());
  const auto refused = held.jobs.post("c", held.job());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kExhausted);
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

TEST(Jobs, ManyThatWait_AreTriedNoMoreOftenThanTheQueueAllows) {
  constexpr int kJobs = 250;  // each a second try a millisecond later, if it were alone
  std::atomic<int> tries{0};
  std::vector<std::int64_t> second(kJobs);
  JobQueue jobs(2, kJobs);
  const auto began_ms = system_clock().monotonic_ms();
  for (int i = 0; i < kJobs; ++i)
    ASSERT_TRUE(jobs.post(
        std::to_string(i),
        [&tries, &at = second[static_cast<std::size_t>(i)]](int attempt) -> Again {
          ++tries;
          if (attempt == 0) return 1;
          at = system_clock().monotonic_ms();
          return std::nullopt;
        },
        200));  // all are there before the first is tried
  EXPECT_TRUE(jobs.wait("249", 30'000));
  for (int i = 0; i < kJobs; ++i) EXPECT_TRUE(jobs.wait(std::to_string(i), 30'000));
  EXPECT_EQ(tries, 2 * kJobs);
  const auto first_ms = *std::min_element(second.begin(), second.end());
  EXPECT_GE(first_ms - began_ms, kJobs * 1'000 / limits::kJobRetriesPerS);
}

TEST(Jobs, OneOwnerOfMany_HasHalfOfTheThreads) {
  Held held(4, 1'000);
  held.post_many("greedy", 100);
  ASSERT_TRUE(held.wait_for_running(2));
  ASSERT_TRUE(held.jobs.post(
      "other", [](int) -> Again { return std::nullopt; }, 0, "modest"));
  EXPECT_TRUE(held.jobs.wait("other", 10'000));
  EXPECT_EQ(held.running, 2);
  held.let_go();
  EXPECT_TRUE(held.jobs.wait("greedy99", 10'000));
}

TEST(Jobs, TwoOwnersOfMany_LeaveTheLastQuarter) {
  Held held(8, 1'000);
  held.post_many("first", 100);
  held.post_many("second", 100);
  ASSERT_TRUE(held.wait_for_running(6));
  for (int i = 0; i < 20; ++i) {
    const std::string key = "other" + std::to_string(i);
    ASSERT_TRUE(held.jobs.post(
        key, [](int) -> Again { return std::nullopt; }, 0, key));
    EXPECT_TRUE(held.jobs.wait(key, 10'000));
  }
  EXPECT_EQ(held.running, 6);
  held.let_go();
  EXPECT_TRUE(held.jobs.wait("second99", 10'000));
}

TEST(Jobs, Due_OwnerServedLeast_GoesFirst) {
  std::vector<std::string> order;
  Held held(1, 1'000);
  const auto put = [&](const std::string& key, const std::string& owner) {
    ASSERT_TRUE(held.jobs.post(
        key,
        [&order, key, hold = held.job()](int attempt) -> Again {
          (void)hold(attempt);
          std::this_thread::sleep_for(std::chrono::milliseconds(5));  // what it costs its owner
          order.push_back(key);
          return std::nullopt;
        },
        0, owner));
  };
  put("a0", "a");
  ASSERT_TRUE(held.wait_for_running(1));
  for (int i = 1; i < 20; ++i) put("a" + std::to_string(i), "a");
  put("b0", "b");
  held.let_go();
  EXPECT_TRUE(held.jobs.wait("b0", 10'000));
  EXPECT_TRUE(held.jobs.wait("a19", 10'000));
  ASSERT_EQ(order.size(), 21U);
  EXPECT_EQ(order[0], "a0");
  EXPECT_EQ(order[1], "b0");
}

TEST(Jobs, Full_OwnerOfMost_LosesTheLastToOwnerOfFewer) {
  Held held(1, 8);
  held.post_many("greedy", 8);
  ASSERT_TRUE(held.wait_for_running(1));
  held.post_many("greedy", 9);  // for himself nobody else loses anything
  EXPECT_FALSE(held.jobs.has("greedy8"));
  held.post_many("modest", 1);
  EXPECT_TRUE(held.jobs.has("modest0"));
  EXPECT_FALSE(held.jobs.has("greedy7"));
  EXPECT_TRUE(held.jobs.has("greedy6"));
}

TEST(Jobs, Full_JobsOfNobody_AreNotDisplaced) {
  Held held(1, 2);
  ASSERT_TRUE(held.jobs.post("a", held.job()));
  ASSERT_TRUE(held.jobs.post("b", held.job()));
  EXPECT_FALSE(held.jobs.post("c", held.job(), 0, "owner"));
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
