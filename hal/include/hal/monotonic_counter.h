// Owns the contract of a counter that only grows and survives power loss (TPM NV counter).
#pragma once

#include <cstdint>

#include "hal/base/result.h"

namespace keyward::hal {

class MonotonicCounter {
 public:
  virtual ~MonotonicCounter() = default;
  virtual Result<std::uint64_t> read() = 0;
  virtual Result<std::uint64_t> increment() = 0;  // returns the new value
};

}  // namespace keyward::hal
