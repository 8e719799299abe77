// signer -> platform: the HSM's PIN, unsealed by the appliance's own TPM.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct PinUnsealReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kPinUnseal) + 1);
  static constexpr std::string_view kName = "pin-unseal-reply";
  Bytes pin;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "pin", m.pin, 256);
  }
};

struct PinUnseal {
  using Reply = PinUnsealReply;
  static constexpr MessageType kType = MessageType::kPinUnseal;
  static constexpr std::string_view kName = "pin-unseal";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

}  // namespace keyward::wire
