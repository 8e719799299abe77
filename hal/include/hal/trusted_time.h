// Owns the contract of what a unit knows about the time: the kernel's clock and how it is kept, the
// battery-backed clock, the TPM's. Must not know who judges them (firmware/timekeep) nor what is
// refused. Units are in the names. Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keyward::hal {

// How far a clock can be trusted; each level stands above those before it.
enum class TimeLevel : std::uint8_t {
  kNone = 0,          // behind what was certain before: wrong
  kFloor = 1,         // not behind; nothing else is known
  kRtc = 2,           // the battery-backed clock agrees
  kTpmClock = 3,      // was synchronised, and has gone on since as the TPM's clock did
  kOperator = 4,      // an operator gave his word for it, in this boot
  kSynchronised = 5,  // a time service keeps it (NTP, NTS, PTP)
};
std::string_view to_string(TimeLevel level);  // "none", "floor", "rtc", "tpm-clock", ...

struct KernelTime {
  std::int64_t utc_ms = 0;
  std::int64_t boottime_ms = 0;  // runs on in suspend, never stepped
  bool synchronised = false;     // adjtimex(2): not STA_UNSYNC
  std::int64_t error_max_ms = 0;
  std::string boot_id;
};

// TPMS_TIME_INFO (TPM 2.0 Part 2 §10.11): the clock stands still while the power is off.
struct TpmClock {
  std::uint64_t clock_ms = 0;
  std::uint32_t reset_count = 0;
  std::uint32_t restart_count = 0;
  bool safe = false;  // no greater value was ever told
};

class TimeSources {
 public:
  virtual ~TimeSources() = default;
  virtual KernelTime kernel() = 0;
  virtual std::optional<std::int64_t> rtc_utc_ms() = 0;  // nothing: none, or not to be read
};

}  // namespace keyward::hal
