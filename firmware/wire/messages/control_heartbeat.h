// task -> supervisor, once a second from the main loop.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct ControlHeartbeat {
  static constexpr MessageType kType = MessageType::kControlHeartbeat;
  static constexpr std::string_view kName = "control-heartbeat";
  std::uint64_t sequence = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "sequence", m.sequence);
  }
};

}  // namespace keyward::wire
