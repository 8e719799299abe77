// Owns the contract of the hardware watchdog: it resets the unit unless it is petted in time.
#pragma once

#include "hal/base/result.h"

namespace keyward::hal {

class Watchdog {
 public:
  virtual ~Watchdog() = default;
  virtual Status arm(int timeout_s) = 0;
  virtual Status pet() = 0;
  virtual Status disarm() = 0;  // before an orderly stop; some hardware refuses
};

}  // namespace keyward::hal
