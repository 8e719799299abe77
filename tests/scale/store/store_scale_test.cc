// The store with many certificates: as many orders as KEYWARD_SCALE_CERTIFICATES says are issued,
// then what an operator feels (size, start, a look at one certificate), and what housekeeping leaves
// when all of it has ended. Figures are printed; what is judged are the bounds of
// docs/operations/housekeeping.md.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

#include <unistd.h>

#include "tests/support/memory/memory.h"
#include "tests/unit/store/fixture.h"

namespace keyward::store {
namespace {

constexpr std::size_t kThreads = 32, kOrdersOfAccount = 100;

double seconds_of(const std::function<void()>& work) {
  const auto begun_ms = system_clock().monotonic_ms();
  work();
  return static_cast<double>(system_clock().monotonic_ms() - begun_ms) / 1'000.0;
}

void say(const std::string& what, double value, const char* unit) {
  std::printf("SCALE %-44s %12.3f %s\n", what.c_str(), value, unit);
  std::fflush(stdout);
}

class StoreScale : public StoreTest {
 protected:
  double file_bytes() const { return static_cast<double>(std::filesystem::file_size(database())); }
  double all_bytes() const {
    double out = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path()))
      out += static_cast<double>(entry.file_size());
    return out;
  }
  // Sweeps until nothing is left to delete and no page to give back.
  int sweep_to_the_end() {
    int turns = 0;
    for (double before = -1; turns < 100'000; ++turns) {
      const auto swept = store_->sweep();
      if (!swept) break;
      if (swept->all() == 0 && file_bytes() == before && turns > 2) return turns;
      before = file_bytes();
    }
    return turns;
  }
};

TEST_F(StoreScale, ManyCertificates_SizeStartAndWhatHousekeepingLeaves) {
  const char* wanted = std::getenv("KEYWARD_SCALE_CERTIFICATES");
  const std::size_t all = wanted == nullptr ? 10'000 : std::strtoull(wanted, nullptr, 10);
  say("certificates", static_cast<double>(all), "");
  std::atomic<std::size_t> next = 0;
  const auto fill = [&] {
    for (std::size_t i = next++; i < all; i = next++) {
      const std::string who = "account-" + std::to_string(i / kOrdersOfAccount);
      const std::string ticket = "t" + std::to_string(i);
      add_order(who, ticket);
      issue(ticket, who);
    }
  };
  for (std::size_t i = 0; i <= all / kOrdersOfAccount; ++i)
    add_account("account-" + std::to_string(i));
  const double filling_s = seconds_of([&] {
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) threads.emplace_back(fill);
    for (auto& thread : threads) thread.join();
  });
  ASSERT_FALSE(HasFailure());
  say("filling the database", filling_s, "s");
  store_.reset();
  const double full = all_bytes();
  say("database", full / 1'048'576.0, "MiB");
  say("database for each certificate", full / static_cast<double>(all), "octets");
  const auto before_kib = test::resident_kib(::getpid());
  say("start", seconds_of([&] { reopen(); }), "s");
  say("check of the whole file", seconds_of([&] { EXPECT_TRUE(store_->check_integrity()); }), "s");
  constexpr int kLooks = 1'000;
  const double looks_s = seconds_of([&] {
    for (int i = 0; i < kLooks; ++i) {
      const auto ticket = "t" + std::to_string(all / kLooks * static_cast<std::size_t>(i));
      EXPECT_TRUE(store_->certificate_find({certificate("x", ticket).serial})->certificate);
    }
  });
  say("a certificate found by its serial", looks_s * 1'000 / kLooks, "ms");
  say("memory taken", static_cast<double>(test::resident_kib(::getpid()) - before_kib) / 1'024.0,
      "MiB");

  // Orders go a week after their end, certificates a month after theirs; accounts stay.
  clock_.now_ms = kNowMs + 90 * kDayMs + limits::kCertificateRetentionMs + kDayMs;
  int turns = 0;
  say("housekeeping of all of it", seconds_of([&] { turns = sweep_to_the_end(); }), "s");
  say("in turns of five seconds each", turns, "");
  ASSERT_TRUE(store_->flush());
  store_.reset();
  const double left = all_bytes();
  say("database afterwards", left / 1'048'576.0, "MiB");
  const double accounts = static_cast<double>(all / kOrdersOfAccount + 1);
  EXPECT_LT(left, 8.0 * 1'048'576.0 + accounts * 4'096.0);
  reopen();
  auto once_more = order("account-0", "once-more");
  once_more.order.expires_at_ms = once_more.authorizations[0].expires_at_ms =
      clock_.now_ms + kDayMs;
  EXPECT_TRUE(store_->order_put(once_more));
}

}  // namespace
}  // namespace keyward::store
