// Owns the question whether the clock is good enough to sign by: never behind the ledger, no leap
// ahead that nobody vouches for, and the level that the installation asks for. Must not know who
// judges the level (the platform does, firmware/timekeep). Threads: any.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "firmware/issue/verdict.h"
#include "hal/base/clock.h"
#include "hal/base/limits.h"
#include "hal/trusted_time.h"

namespace keyward::issue {

struct TimeRules {
  hal::TimeLevel level_min = hal::TimeLevel::kNone;  // kNone: any clock not behind the ledger
  std::int64_t jump_ms = limits::kTimeJumpMs;        // 0: leaps are not looked for
};

class TimeGuard {
 public:
  TimeGuard(TimeRules rules, const Clock& clock);

  // What the platform judged when its clock said `utc_ms`. A judgement of another time than ours (the
  // clock was set in between) is not taken.
  void note(hal::TimeLevel level, std::int64_t utc_ms, std::string detail);
  // Before each thing that bears a time. "clock-behind-ledger", "clock-jumped", "clock-unset": all
  // kUnavailable, the order waits. `floor_ms`: the ledger's last entry.
  Verdict<void> check(std::int64_t floor_ms);
  // A judgement is needed: for a level that is asked for, or to end a hold.
  bool wants_level() const;
  // Why nothing is signed, for an operator; empty: the clock is well.
  std::string why_not(std::int64_t floor_ms);

 private:
  bool look_for_jump();  // true: held. lock held
  const TimeRules rules_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::int64_t last_utc_ms_;  // the last pair that was believed
  std::int64_t last_monotonic_ms_;
  bool held_ = false;
  bool noted_ = false;  // since the process began, or since the leap
  hal::TimeLevel level_ = hal::TimeLevel::kNone;
  std::string detail_ = "the platform was not asked yet";
};

}  // namespace keyward::issue
