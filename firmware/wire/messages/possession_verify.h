// acme -> signer: a proof of possession of an earlier certificate's key (docs/protocols.md).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct PossessionVerifyReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kPossessionVerify) + 1);
  static constexpr std::string_view kName = "possession-verify-reply";
  std::optional<ChallengeProblem> problem;  // absent: it holds
  std::int64_t validated_at_ms = 0;
  std::int64_t grant_expires_at_ms = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "problem", m.problem);
    v(2, "validated_at_ms", m.validated_at_ms);
    v(3, "grant_expires_at_ms", m.grant_expires_at_ms);
  }
};

struct PossessionVerify {
  using Reply = PossessionVerifyReply;
  static constexpr MessageType kType = MessageType::kPossessionVerify;
  static constexpr std::string_view kName = "possession-verify";
  std::string account_jwk;
  Identifier identifier{};
  std::string token;          // of the challenge
  ClientJws authorization{};  // by the certificate's key
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account_jwk", m.account_jwk, limits::kJwkBytesMax);
    v(2, "identifier", m.identifier);
    v(3, "token", m.token, limits::kIdBytesMax * 2);
    v(4, "authorization", m.authorization);
  }
};

}  // namespace keyward::wire
