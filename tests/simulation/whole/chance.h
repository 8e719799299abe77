// Owns what a seed decides for the whole program: the octets of getrandom and of OpenSSL, and the
// time that the C library tells. Must not know the simulation. Threads: one.
#pragma once

#include <cstdint>

namespace keyward::simulation {

// From here on both generators begin at `seed`, and the C library's clocks stand still.
void begin_chance(std::uint64_t seed, std::int64_t utc_ms);
void end_chance();  // the real ones again
// Puts the kernel's generator back to its beginning: a planted bug (a counter that a crash resets).
void repeat_chance(std::uint64_t seed);
void set_time(std::int64_t utc_ms, std::int64_t monotonic_ms);

}  // namespace keyward::simulation
