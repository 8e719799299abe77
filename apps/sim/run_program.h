// Owns running one of our own programs to its end. Must not know which one.
#pragma once

#include <string>
#include <vector>

#include "hal/base/result.h"

namespace keyward::simulator {

// Its output goes to `output_path` (appended). Returns the exit code; 128 + signal if it was
// killed.
Result<int> run_program(const std::vector<std::string>& arguments, const std::string& output_path);

}  // namespace keyward::simulator
