// acme -> signer: the client's own key change (RFC 8555 §7.3.5): what the old key proved is the new
// one's from now on.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct KeyChangeReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kKeyChange) + 1);
  static constexpr std::string_view kName = "key-change-reply";
  Digest256 thumbprint{};  // of the new key
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
  }
};

struct KeyChange {
  using Reply = KeyChangeReply;
  static constexpr MessageType kType = MessageType::kKeyChange;
  static constexpr std::string_view kName = "key-change";
  std::string account_jwk;  // canonical; the old key
  ClientJws jws{};          // the outer JWS
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account_jwk", m.account_jwk, limits::kJwkBytesMax);
    v(2, "jws", m.jws);
  }
};

}  // namespace keyward::wire
