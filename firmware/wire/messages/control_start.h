// supervisor -> task, first frame; one descriptor per entry of `peers`, in that order.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/peer_end.h"

namespace keyward::wire {

struct ControlStart {
  static constexpr MessageType kType = MessageType::kControlStart;
  static constexpr std::string_view kName = "control-start";
  TaskId task{};
  std::string config;  // TOML: this task's section alone
  std::vector<PeerEnd> peers;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "task", m.task);
    v(2, "config", m.config, limits::kConfigBytesMax);
    v(3, "peers", m.peers, limits::kTasksMax);
  }
};

}  // namespace keyward::wire
