// task -> supervisor: what an operator should see of this task.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct ControlState {
  static constexpr MessageType kType = MessageType::kControlState;
  static constexpr std::string_view kName = "control-state";
  std::string state;  // "operational", "degraded", "locked"
  std::string detail;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "state", m.state, 32);
    v(2, "detail", m.detail, limits::kDetailBytesMax);
  }
};

}  // namespace keyward::wire
