// Owns reading a Linux unit's clocks: adjtimex(2), CLOCK_BOOTTIME, /proc/driver/rtc. Must not know
// what is made of them. Threads: any.
#pragma once

#include <memory>
#include <string>

#include "hal/trusted_time.h"

namespace keyward::hal {

// `rtc_path`: as /proc/driver/rtc is written (tests give a file of their own).
std::unique_ptr<TimeSources> make_linux_time_sources(std::string rtc_path = "/proc/driver/rtc");

}  // namespace keyward::hal
