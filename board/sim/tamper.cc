// Owns the simulator's choice of a tamper input: a file. Must not know tasks.
#include "hal/linux/tamper.h"

#include "board/compose.h"

namespace keyward::board {

Result<std::unique_ptr<hal::Tamper>> make_tamper(const std::string& path, int active) {
  if (path.empty()) return std::unique_ptr<hal::Tamper>();
  return hal::make_file_tamper(path, active);
}

}  // namespace keyward::board
