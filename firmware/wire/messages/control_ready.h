// task -> supervisor: started, answering its peers.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct ControlReady {
  static constexpr MessageType kType = MessageType::kControlReady;
  static constexpr std::string_view kName = "control-ready";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

}  // namespace keyward::wire
