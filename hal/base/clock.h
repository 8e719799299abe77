// Owns the notion of time: wall clock and monotonic clock behind one interface. Must not know
// policy. Units are in the names. Threads: every implementation may be called from any thread.
#pragma once

#include <cstdint>

namespace keyward {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t utc_ms() const = 0;        // milliseconds since 1970-01-01T00:00:00Z
  virtual std::int64_t monotonic_ms() const = 0;  // never steps back; origin unspecified
};

// The Linux clocks (CLOCK_REALTIME, CLOCK_MONOTONIC). One static object, never destroyed.
Clock& system_clock();

// A point on the monotonic clock after which a call gives up.
struct Deadline {
  std::int64_t monotonic_ms = 0;
  static Deadline after_ms(std::int64_t ms) { return {system_clock().monotonic_ms() + ms}; }
  std::int64_t remaining_ms() const {
    const auto left = monotonic_ms - system_clock().monotonic_ms();
    return left > 0 ? left : 0;
  }
  bool passed() const { return remaining_ms() == 0; }
};

}  // namespace keyward
