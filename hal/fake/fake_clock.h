// Owns a clock that stands still until a test moves it. Test builds only. Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "hal/base/clock.h"

namespace keyward::hal::fake {

class FakeClock : public Clock {
 public:
  explicit FakeClock(std::int64_t utc_ms = 1'790'000'000'000) : utc_ms_(utc_ms) {}
  std::int64_t utc_ms() const override { return utc_ms_; }
  std::int64_t monotonic_ms() const override { return monotonic_ms_; }

  void advance_ms(std::int64_t ms) {  // both clocks, as time does
    utc_ms_ += ms;
    monotonic_ms_ += ms;
  }
  void set_utc_ms(std::int64_t utc_ms) { utc_ms_ = utc_ms; }  // a step: the monotonic clock stays

 private:
  std::atomic<std::int64_t> utc_ms_;
  std::atomic<std::int64_t> monotonic_ms_ = 1'000'000;
};

}  // namespace keyward::hal::fake
