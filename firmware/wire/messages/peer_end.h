// Owns the description of one end of an edge of the task graph.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

// One end of an edge. inbound: the other task asks, this one answers.
struct PeerEnd {
  TaskId task{};
  bool inbound = false;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "task", m.task);
    v(2, "inbound", m.inbound);
  }
};

}  // namespace keyward::wire
