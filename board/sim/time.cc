// Owns the simulator's choice of clocks: the PC's. Must not know tasks.
#include "board/compose.h"
#include "hal/linux/time_sources.h"

namespace keyward::board {

std::unique_ptr<hal::TimeSources> make_time_sources() { return hal::make_linux_time_sources(); }

}  // namespace keyward::board
