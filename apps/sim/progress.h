// Owns the progress lines that a person sees, with the time since the start. Must not know what
// happens.
#pragma once

#include <cstdio>
#include <string>

#include "hal/base/clock.h"

namespace keyward::simulator {

class Progress {
 public:
  explicit Progress(bool quiet) : quiet_(quiet), begin_ms_(system_clock().monotonic_ms()) {}
  void say(const std::string& text) const {
    if (quiet_) return;
    std::printf("%6.2f s  %s\n",
                static_cast<double>(system_clock().monotonic_ms() - begin_ms_) / 1000,
                text.c_str());
    std::fflush(stdout);
  }

 private:
  bool quiet_;
  std::int64_t begin_ms_;
};

}  // namespace keyward::simulator
