// Owns one run of the simulation: what a seed does, from the first request until every good client
// has its certificate. Must not know tests. Threads: one.
#pragma once

#include "world.h"

namespace keyward::simulation {

struct RunResult {
  std::string violation;  // empty: none
  std::uint64_t trace = 0;
  Figures figures;
};

RunResult run_seed(std::uint64_t seed, Bug bug = Bug::kNone, bool print = false);

}  // namespace keyward::simulation
