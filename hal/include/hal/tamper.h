// Owns the contract of the tamper input: has somebody opened the unit? Must not know what follows.
// Errors: kUnavailable (the input cannot be read), kBadInput (it reads neither 0 nor 1).
#pragma once

#include "hal/base/result.h"

namespace keyward::hal {

class Tamper {
 public:
  virtual ~Tamper() = default;
  virtual Result<bool> tripped() = 0;  // now; whoever asks remembers
};

}  // namespace keyward::hal
