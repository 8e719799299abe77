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
    return exhausted("rate-account", "this account has used its certificates of the hour",
                     oldest->at_ms + kHourMs - now_ms);
  }
  if (static_cast<std::int64_t>(entries_.size()) >= overall_per_hour_) {
    const auto wait_ms = entries_.empty() ? kHourMs : entries_.front().at_ms + kHourMs - now_ms;
    return exhausted("rate-overall", "the installation has used its certificates of the hour",
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

}  // namespace keyward::issue
