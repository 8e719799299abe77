// attestation -> platform: seal a secret to the appliance's own TPM.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct KeySealReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kKeySeal) + 1);
  static constexpr std::string_view kName = "key-seal-reply";
  Bytes sealed;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "sealed", m.sealed, limits::kSealedKeyBytesMax);
  }
};

struct KeySeal {
  using Reply = KeySealReply;
  static constexpr MessageType kType = MessageType::kKeySeal;
  static constexpr std::string_view kName = "key-seal";
  Bytes secret;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "secret", m.secret, 128);
  }
};

}  // namespace keyward::wire
