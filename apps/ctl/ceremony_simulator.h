// Owns `keywardctl ceremony --simulator`: tokens, PINs and files of the simulator's key ceremony.
// Must not know how certificates are built (firmware/ceremony).
#pragma once

#include <string>

namespace keyward::ctl {

struct CeremonyOptions {
  std::string plan_path;
  std::string dir;  // absolute or not; made if it is missing
  std::string module_path;
};

// Prints every step. Returns the exit code: 0 done, 1 a step failed, 78 the plan is wrong.
int run_ceremony(const CeremonyOptions& options);

}  // namespace keyward::ctl
