// task -> supervisor: started, answering its peers.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct ControlReady {
  static constexpr MessageType kType = MessageType::kControlReady;
  static constexpr std::string_view kName = "control-ready";
  std::vector<std::string> layers;  // of isolation that took effect (firmware/sandbox/confine.h)
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "layers", m.layers, limits::kLayersMax, limits::kLayerBytesMax);
  }
};

}  // namespace keyward::wire
