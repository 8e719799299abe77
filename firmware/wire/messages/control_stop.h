// supervisor -> task: finish what is under way, then exit 0.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct ControlStop {
  static constexpr MessageType kType = MessageType::kControlStop;
  static constexpr std::string_view kName = "control-stop";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

}  // namespace keyward::wire
