// Owns the Linux watchdog device (Documentation/watchdog/watchdog-api.rst) and its stand-in in a
// file. Must not know who pets it. Errors: kUnavailable (no such device, busy), kRefused (the
// hardware takes no such timeout, or cannot be disarmed), kBadInput (a timeout out of 1..3600 s, or
// pet before arm), kCorrupt (the file holds something else). Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "hal/base/clock.h"
#include "hal/watchdog.h"

namespace keyward::hal {

// `device`: "/dev/watchdog". It is opened by arm(), since opening already starts the timer. If the
// object ends without disarm() the hardware fires: a task that dies must not look alive.
std::unique_ptr<Watchdog> make_linux_watchdog(std::string device);

// For the simulator: writes its state into `path` (one line, replaced in place, without fsync)
// where file_watchdog_state() reads what the hardware would have done.
std::unique_ptr<Watchdog> make_file_watchdog(std::string path, const Clock& clock = system_clock());

enum class WatchdogState : std::uint8_t { kDisarmed, kArmed, kFired };
Result<WatchdogState> file_watchdog_state(const std::string& path,
                                          const Clock& clock = system_clock());

}  // namespace keyward::hal
