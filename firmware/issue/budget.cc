#include "firmware/issue/budget.h"

#include <algorithm>

namespace keyward::issue {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;

tl::unexpected<wire::Failure> exhausted(std::string_view code, std::string_view detail,
                                        std::int64_t wait_ms) {
  auto failure = wire::Failure::of(wire::FailureKind::kExhausted, code, detail);
  failure.retry_after_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(wait_ms, 1'000));
  return tl::unexpected<wire::Failure>(std::move(failure));
}

}  // namespace

BudgetHold::~BudgetHold() {
  if (budget_ != nullptr) budget_->give_back(thumbprint_, at_ms_);
}

void Budget::insert(const Digest256& thumbprint, std::int64_t at_ms) {
  entries_.push_back({at_ms, thumbprint});
  ++per_account_[thumbprint];
}

void Budget::forget_before(std::int64_t ms) {
  while (!entries_.empty() && entries_.front().at_ms <= ms) {
    const auto account = per_account_.find(entries_.front().thumbprint);
    if (--account->second == 0) per_account_.erase(account);
    entries_.pop_front();
  }
}

Verdict<BudgetHold> Budget::reserve(const Digest256& thumbprint, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  forget_before(now_ms - kHourMs);
  const auto account = per_account_.find(thumbprint);
  if (account != per_account_.end() && account->second >= account_per_hour_) {
    const auto oldest = std::find_if(entries_.begin(), entries_.end(),
                                     [&](const Entry& e) { return e.thumbprint == thumbprint; });
    return exhausted(of_profile_ ? "rate-profile-account" : "rate-account",
                     of_profile_
                         ? "this account has used its certificates of the hour in this profile"
                         : "this account has used its certificates of the hour",
                     oldest->at_ms + kHourMs - now_ms);
  }
  if (static_cast<std::int64_t>(entries_.size()) >= overall_per_hour_) {
    const auto wait_ms = entries_.empty() ? kHourMs : entries_.front().at_ms + kHourMs - now_ms;
    return exhausted(of_profile_ ? "rate-profile" : "rate-overall",
                     of_profile_ ? "the profile has used its certificates of the hour"
                                 : "the installation has used its certificates of the hour",
                     wait_ms);
  }
  insert(thumbprint, now_ms);
  return BudgetHold(this, thumbprint, now_ms);
}

void Budget::note(const Digest256& thumbprint, std::int64_t at_ms) {
  const std::lock_guard lock(mutex_);
  forget_before(at_ms - kHourMs);
  insert(thumbprint, at_ms);
}

void Budget::give_back(const Digest256& thumbprint, std::int64_t at_ms) {
  const std::lock_guard lock(mutex_);
  const auto entry = std::find_if(entries_.rbegin(), entries_.rend(), [&](const Entry& e) {
    return e.at_ms == at_ms && e.thumbprint == thumbprint;
  });
  if (entry == entries_.rend()) return;  // an hour has passed meanwhile
  entries_.erase(std::next(entry).base());
  const auto account = per_account_.find(thumbprint);
  if (--account->second == 0) per_account_.erase(account);
}

void Budgets::add(const std::string& profile, std::optional<std::int64_t> account_per_hour,
                  std::optional<std::int64_t> overall_per_hour) {
  constexpr auto kUnlimited = std::numeric_limits<std::int64_t>::max();
  of_profiles_.try_emplace(profile, account_per_hour.value_or(kUnlimited),
                           overall_per_hour.value_or(kUnlimited), true);
}

Verdict<BudgetHolds> Budgets::reserve(const std::string& profile, const Digest256& thumbprint,
                                      std::int64_t now_ms) {
  BudgetHolds holds;
  ISSUE_TRY(of_all, all_.reserve(thumbprint, now_ms));
  holds.add(std::move(of_all));
  if (const auto own = of_profiles_.find(profile); own != of_profiles_.end()) {
    ISSUE_TRY(of_profile, own->second.reserve(thumbprint, now_ms));
    holds.add(std::move(of_profile));
  }
  return holds;
}

void Budgets::note(const std::string& profile, const Digest256& thumbprint, std::int64_t at_ms) {
  all_.note(thumbprint, at_ms);
  if (const auto own = of_profiles_.find(profile); own != of_profiles_.end())
    own->second.note(thumbprint, at_ms);
}

}  // namespace keyward::issue
