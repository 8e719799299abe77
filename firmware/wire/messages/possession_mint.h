// acme -> signer: a challenge token for a proof of possession, bound to account and identifier, so
// that a front end cannot present an old proof for a new challenge (docs/protocols.md).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct PossessionMintReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kPossessionMint) + 1);
  static constexpr std::string_view kName = "possession-mint-reply";
  std::string token;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "token", m.token, limits::kIdBytesMax * 2);
  }
};

struct PossessionMint {
  using Reply = PossessionMintReply;
  static constexpr MessageType kType = MessageType::kPossessionMint;
  static constexpr std::string_view kName = "possession-mint";
  Digest256 thumbprint{};  // of the account key
  Identifier identifier{};
  std::int64_t expires_at_ms = 0;  // of the authorization; the signer may take less
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "expires_at_ms", m.expires_at_ms);
  }
};

}  // namespace keyward::wire
