// Owns a tamper input that a test sets. Threads: any.
#pragma once

#include <atomic>

#include "hal/tamper.h"

namespace keyward::hal {

class FakeTamper final : public Tamper {
 public:
  std::atomic<bool> opened{false};
  std::atomic<bool> away{false};
  Result<bool> tripped() override {
    if (away) return fail(ErrorKind::kUnavailable, "fake tamper: away");
    return opened.load();
  }
};

}  // namespace keyward::hal
