// Owns the names of the levels.
#include "hal/trusted_time.h"

namespace keyward::hal {

std::string_view to_string(TimeLevel level) {
  switch (level) {
    case TimeLevel::kNone:
      return "none";
    case TimeLevel::kFloor:
      return "floor";
    case TimeLevel::kRtc:
      return "rtc";
    case TimeLevel::kTpmClock:
      return "tpm-clock";
    case TimeLevel::kOperator:
      return "operator";
    case TimeLevel::kSynchronised:
      return "synchronised";
  }
  return "none";
}

}  // namespace keyward::hal
