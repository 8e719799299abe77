// Owns the simulator's choice of a watchdog: a file. Must not know tasks.
#include "hal/linux/watchdog.h"

#include "board/compose.h"

namespace keyward::board {

Result<std::unique_ptr<hal::Watchdog>> make_watchdog(const std::string& path) {
  if (path.empty()) return std::unique_ptr<hal::Watchdog>();
  return hal::make_file_watchdog(path);
}

}  // namespace keyward::board
