// acme -> signer: verify the client's newOrder and mint the order ticket that commits to it (DESIGN
// §2.4).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct TicketMintReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kTicketMint) + 1);
  static constexpr std::string_view kName = "ticket-mint-reply";
  std::string ticket;
  std::int64_t expires_at_ms = 0;
  Bytes terms;  // OrderTerms, encoded; given back at finalize
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "ticket", m.ticket, limits::kIdBytesMax);
    v(2, "expires_at_ms", m.expires_at_ms);
    v(3, "terms", m.terms, limits::kOrderTermsBytesMax);
  }
};

struct TicketMint {
  using Reply = TicketMintReply;
  static constexpr MessageType kType = MessageType::kTicketMint;
  static constexpr std::string_view kName = "ticket-mint";
  std::string account_jwk;  // canonical
  ClientJws jws{};          // the original newOrder
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account_jwk", m.account_jwk, limits::kJwkBytesMax);
    v(2, "jws", m.jws);
  }
};

}  // namespace keyward::wire
