// acme -> signer: the client deactivated an authorization (RFC 8555 §7.5.2): its proof is void.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct GrantWithdrawReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kGrantWithdraw) + 1);
  static constexpr std::string_view kName = "grant-withdraw-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct GrantWithdraw {
  using Reply = GrantWithdrawReply;
  static constexpr MessageType kType = MessageType::kGrantWithdraw;
  static constexpr std::string_view kName = "grant-withdraw";
  std::string account_jwk;
  ClientJws jws{};  // the deactivation
  Identifier identifier{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account_jwk", m.account_jwk, limits::kJwkBytesMax);
    v(2, "jws", m.jws);
    v(3, "identifier", m.identifier);
  }
};

}  // namespace keyward::wire
