#include "hal/base/clock.h"

#include <time.h>

namespace keyward {
namespace {

std::int64_t read_ms(clockid_t id) {
  timespec now{};
  ::clock_gettime(id, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

class SystemClock final : public Clock {
 public:
  std::int64_t utc_ms() const override { return read_ms(CLOCK_REALTIME); }
  std::int64_t monotonic_ms() const override { return read_ms(CLOCK_MONOTONIC); }
};

}  // namespace

Clock& system_clock() {
  static auto* const clock = new SystemClock;  // never destroyed: threads outlive main
  return *clock;
}

}  // namespace keyward
