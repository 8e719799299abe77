// Owns the rate budgets: how many certificates in the last hour, per account and overall, of all
// profiles and of one (DESIGN §2.8: what still holds if a validator falls). Must not know grants. Exact sliding window.
// Threads: any.
#pragma once

#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "firmware/issue/digest_hash.h"
#include "firmware/issue/verdict.h"

namespace keyward::issue {

class Budget;

// One certificate's share: given back when it ends, unless keep() was called.
class BudgetHold {
 public:
  BudgetHold(Budget* budget, const Digest256& thumbprint, std::int64_t at_ms)
      : budget_(budget), thumbprint_(thumbprint), at_ms_(at_ms) {}
  BudgetHold(BudgetHold&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)),
        thumbprint_(other.thumbprint_),
        at_ms_(other.at_ms_) {}
  BudgetHold& operator=(BudgetHold&&) = delete;
  ~BudgetHold();
  void keep() { budget_ = nullptr; }

 private:
  Budget* budget_;
  Digest256 thumbprint_;
  std::int64_t at_ms_;
};

class Budget {
 public:
  Budget(std::int64_t account_per_hour, std::int64_t overall_per_hour, bool of_profile = false)
      : account_per_hour_(account_per_hour),
        overall_per_hour_(overall_per_hour),
        of_profile_(of_profile) {}

  // "rate-account", "rate-overall", of a profile "rate-profile-account", "rate-profile" (kExhausted,
  // with the time to wait).
  Verdict<BudgetHold> reserve(const Digest256& thumbprint, std::int64_t now_ms);
  // An intent of the ledger, at start: counts whatever the budget says.
  void note(const Digest256& thumbprint, std::int64_t at_ms);

 private:
  friend class BudgetHold;
  struct Entry {
    std::int64_t at_ms;
    Digest256 thumbprint;
  };
  void insert(const Digest256& thumbprint, std::int64_t at_ms);
  void forget_before(std::int64_t ms);
  void give_back(const Digest256& thumbprint, std::int64_t at_ms);

  std::int64_t account_per_hour_;
  std::int64_t overall_per_hour_;
  bool of_profile_;
  std::mutex mutex_;
  std::deque<Entry> entries_;
  std::unordered_map<Digest256, std::int64_t, RandomOctetsHash> per_account_;
};

// A certificate's shares: of all budgets that it counts for.
class BudgetHolds {
 public:
  void add(BudgetHold hold) { holds_.push_back(std::move(hold)); }
  void keep() {
    for (auto& hold : holds_) hold.keep();
  }

 private:
  std::vector<BudgetHold> holds_;
};

// The signer's budget, and that of each profile which has one.
class Budgets {
 public:
  Budgets(std::int64_t account_per_hour, std::int64_t overall_per_hour)
      : all_(account_per_hour, overall_per_hour) {}
  // Before the first reserve(); absent: unlimited.
  void add(const std::string& profile, std::optional<std::int64_t> account_per_hour,
           std::optional<std::int64_t> overall_per_hour);
  // A share of each, or of none. As Budget::reserve.
  Verdict<BudgetHolds> reserve(const std::string& profile, const Digest256& thumbprint,
                               std::int64_t now_ms);
  void note(const std::string& profile, const Digest256& thumbprint, std::int64_t at_ms);

 private:
  Budget all_;
  std::map<std::string, Budget> of_profiles_;
};

}  // namespace keyward::issue
