// acme -> validation: a challenge token bound to account, identifier, order, method and expiry.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct NameTokenMintReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kNameTokenMint) + 1);
  static constexpr std::string_view kName = "name-token-mint-reply";
  std::string token;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "token", m.token, limits::kIdBytesMax * 2);
  }
};

struct NameTokenMint {
  using Reply = NameTokenMintReply;
  static constexpr MessageType kType = MessageType::kNameTokenMint;
  static constexpr std::string_view kName = "name-token-mint";
  Digest256 thumbprint{};  // of the account key
  Identifier identifier{};
  bool wildcard = false;
  std::string ticket;
  ValidationMethod method{};
  std::int64_t expires_at_ms = 0;
  bool subtree = false;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "wildcard", m.wildcard);
    v(4, "ticket", m.ticket, limits::kIdBytesMax);
    v(5, "method", m.method);
    v(6, "expires_at_ms", m.expires_at_ms);
    v(7, "subtree", m.subtree);
  }
};

}  // namespace keyward::wire
