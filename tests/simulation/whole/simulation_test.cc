// The whole system under faults, by seeds; that a seed is the same run each time; that planted bugs
// are found. KEYWARD_SIMULATION_SEED=N replays one seed with its trace, KEYWARD_SIMULATION_SEEDS=N
// runs N of them.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

#include "firmware/log/log.h"

#include "run.h"

namespace keyward::simulation {
namespace {

constexpr std::uint64_t kSeedsByDefault = 200;
constexpr std::uint64_t kSeedsForABug = 300;  // within so many each planted bug is found

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string replay_of(std::uint64_t seed) {
  return "KEYWARD_SIMULATION_SEED=" + std::to_string(seed) +
         " build/tests/simulation_test --gtest_filter=Simulation.Seeds*";
}

void expect_clean(std::uint64_t seed, bool print, Figures& figures) {
  const auto result = run_seed(seed, Bug::kNone, print);
  figures.add(result.figures);
  EXPECT_EQ(result.violation, "") << "seed " << seed << "; again: " << replay_of(seed);
}

class Simulation : public testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::kError); }
};

TEST_F(Simulation, Seeds_NoInvariantViolated) {
  Figures figures;
  if (const auto* one = std::getenv("KEYWARD_SIMULATION_SEED"))
    return expect_clean(std::strtoull(one, nullptr, 10), true, figures);
  const auto count = number_from("KEYWARD_SIMULATION_SEEDS", kSeedsByDefault);
  const auto first = number_from("KEYWARD_SIMULATION_FIRST", 1);
  const auto begin = ::clock();
  for (std::uint64_t i = 0; i < count && !HasFailure(); ++i)
    expect_clean(first + i, false, figures);
  const auto ms = static_cast<double>(::clock() - begin) * 1000 / CLOCKS_PER_SEC;
  std::printf(
      "%llu seeds: %llu steps, %llu certificates, %llu revocations, %llu tasks ended, %llu power "
      "cuts, %llu messages late, %llu losses of the token; %.1f ms of processor a seed\n",
      static_cast<unsigned long long>(count), static_cast<unsigned long long>(figures.steps),
      static_cast<unsigned long long>(figures.certificates),
      static_cast<unsigned long long>(figures.revocations),
      static_cast<unsigned long long>(figures.crashes),
      static_cast<unsigned long long>(figures.power_cuts),
      static_cast<unsigned long long>(figures.messages_lost),
      static_cast<unsigned long long>(figures.token_losses), ms / static_cast<double>(count));
}

TEST_F(Simulation, SameSeedTwice_SameTrace) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto first = run_seed(seed);
    const auto second = run_seed(seed);
    EXPECT_EQ(first.trace, second.trace) << seed;
    EXPECT_NE(first.trace, run_seed(seed + 1).trace) << seed;
  }
}

class Planted : public Simulation, public testing::WithParamInterface<Bug> {};

TEST_P(Planted, Bug_FoundWithinTheSeedsThatAreSaid) {
  for (std::uint64_t seed = 1; seed <= kSeedsForABug; ++seed) {
    const auto result = run_seed(seed, GetParam());
    if (result.violation.empty()) continue;
    std::printf("found by seed %llu: %s\n", static_cast<unsigned long long>(seed),
                result.violation.c_str());
    // The same seed again finds the same.
    EXPECT_EQ(run_seed(seed, GetParam()).violation, result.violation);
    EXPECT_EQ(run_seed(seed).violation, "");
    return;
  }
  FAIL() << "the planted bug was not found";
}

std::string name_of(const testing::TestParamInfo<Bug>& bug) {
  constexpr const char* kNames[] = {"None",
                                    "OutcomeNotSynced",
                                    "IntentNotSynced",
                                    "WithdrawalIgnored",
                                    "AccountNotSynced",
                                    "TicketForgotten"};
  return kNames[static_cast<int>(bug.param)];
}

INSTANTIATE_TEST_SUITE_P(Bugs, Planted,
                         testing::Values(Bug::kOutcomeNotSynced, Bug::kIntentNotSynced,
                                         Bug::kWithdrawalIgnored, Bug::kAccountNotSynced,
                                         Bug::kTicketForgotten),
                         name_of);

}  // namespace
}  // namespace keyward::simulation
