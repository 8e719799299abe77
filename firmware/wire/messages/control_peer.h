// supervisor -> task: a peer was restarted; one descriptor, the new end.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/peer_end.h"

namespace keyward::wire {

struct ControlPeer {
  static constexpr MessageType kType = MessageType::kControlPeer;
  static constexpr std::string_view kName = "control-peer";
  PeerEnd peer{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "peer", m.peer);
  }
};

}  // namespace keyward::wire
