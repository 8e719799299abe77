#include "hal/base/result.h"

namespace keyward {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kBadInput:
      return "bad-input";
    case ErrorKind::kRefused:
      return "refused";
    case ErrorKind::kUnavailable:
      return "unavailable";
    case ErrorKind::kExhausted:
      return "exhausted";
    case ErrorKind::kCorrupt:
      return "corrupt";
    case ErrorKind::kInternal:
      return "internal";
  }
  return "unknown";
}

}  // namespace keyward
