// attestation -> platform: the secret that was sealed.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct KeyUnsealReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kKeyUnseal) + 1);
  static constexpr std::string_view kName = "key-unseal-reply";
  Bytes secret;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "secret", m.secret, 128);
  }
};

struct KeyUnseal {
  using Reply = KeyUnsealReply;
  static constexpr MessageType kType = MessageType::kKeyUnseal;
  static constexpr std::string_view kName = "key-unseal";
  Bytes sealed;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "sealed", m.sealed, limits::kSealedKeyBytesMax);
  }
};

}  // namespace keyward::wire
