#include "firmware/issue/time_guard.h"

#include <cstdlib>

namespace keyward::issue {

using hal::TimeLevel;

TimeGuard::TimeGuard(TimeRules rules, const Clock& clock)
    : rules_(rules),
      clock_(clock),
      last_utc_ms_(clock.utc_ms()),
      last_monotonic_ms_(clock.monotonic_ms()) {}

void TimeGuard::note(TimeLevel level, std::int64_t utc_ms, std::string detail) {
  const std::lock_guard lock(mutex_);
  if (std::llabs(clock_.utc_ms() - utc_ms) > limits::kTimeAgreeMs) return;
  (void)look_for_jump();
  noted_ = true;
  level_ = level;
  detail_ = std::move(detail);
  (void)look_for_jump();
}

// Compared with the clock that cannot be set. A level from before the leap does not vouch for it.
bool TimeGuard::look_for_jump() {
  if (rules_.jump_ms == 0) return false;
  const auto utc_ms = clock_.utc_ms();
  const auto monotonic_ms = clock_.monotonic_ms();
  const auto ahead_ms = (utc_ms - last_utc_ms_) - (monotonic_ms - last_monotonic_ms_);
  if (ahead_ms > rules_.jump_ms) {
    if (!held_) noted_ = false;
    held_ = true;
    if (!noted_ || level_ < TimeLevel::kOperator) return true;
  }
  held_ = false;
  last_utc_ms_ = utc_ms;
  last_monotonic_ms_ = monotonic_ms;
  return false;
}

Verdict<void> TimeGuard::check(std::int64_t floor_ms) {
  const std::lock_guard lock(mutex_);
  // A clock that was set back would hide an issuance.
  if (clock_.utc_ms() + limits::kClockStepBackMsMax < floor_ms) {
    return refuse_for_now("clock-behind-ledger", "the clock is behind the ledger's last entry",
                          limits::kTimeRefuseRetryMs);
  }
  if (look_for_jump()) {
    return refuse_for_now("clock-jumped", "the clock leapt ahead and nobody vouches for it",
                          limits::kTimeRefuseRetryMs);
  }
  if (rules_.level_min != TimeLevel::kNone && (!noted_ || level_ < rules_.level_min)) {
    return refuse_for_now("clock-unset", "the clock is not trusted enough yet",
                          limits::kTimeRefuseRetryMs);
  }
  return {};
}

bool TimeGuard::wants_level() const {
  const std::lock_guard lock(mutex_);
  return rules_.level_min != TimeLevel::kNone || held_;
}

std::string TimeGuard::why_not(std::int64_t floor_ms) {
  const auto checked = check(floor_ms);
  if (checked) return {};
  const std::lock_guard lock(mutex_);
  const std::string asked = checked.error().code == "clock-unset"
                                ? "; asked for: " + std::string(hal::to_string(rules_.level_min)) +
                                      ", it is " + std::string(hal::to_string(level_)) + " (" +
                                      detail_ + ")"
                                : "";
  return "nothing is signed: " + checked.error().detail + asked + " [" + checked.error().code + "]";
}

}  // namespace keyward::issue
