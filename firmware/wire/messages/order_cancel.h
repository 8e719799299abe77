// acme -> signer: the client ends the renewals of an order (RFC 8739 §3.1.2).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct OrderCancelReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kOrderCancel) + 1);
  static constexpr std::string_view kName = "order-cancel-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct OrderCancel {
  using Reply = OrderCancelReply;
  static constexpr MessageType kType = MessageType::kOrderCancel;
  static constexpr std::string_view kName = "order-cancel";
  std::string account_jwk;
  ClientJws jws{};
  Bytes terms;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account_jwk", m.account_jwk, limits::kJwkBytesMax);
    v(2, "jws", m.jws);
    v(3, "terms", m.terms, limits::kOrderTermsBytesMax);
  }
};

}  // namespace keyward::wire
