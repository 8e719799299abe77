// acme -> validation: hand evidence to another verifier and bring its result (challenge-response, as
// Veraison's), within the egress policy.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct VerifierRelayReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kVerifierRelay) + 1);
  static constexpr std::string_view kName = "verifier-relay-reply";
  std::optional<ChallengeProblem> problem;  // absent: it holds
  Bytes result;                             // an EAR; nothing of it is trusted here
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "problem", m.problem);
    v(2, "result", m.result, limits::kRelayedResultBytesMax);
  }
};

struct VerifierRelay {
  using Reply = VerifierRelayReply;
  static constexpr MessageType kType = MessageType::kVerifierRelay;
  static constexpr std::string_view kName = "verifier-relay";
  std::string verifier;  // name of a table [validation.verifiers.<name>]
  std::string nonce;     // base64url
  std::string media_type;
  Bytes evidence;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "verifier", m.verifier, limits::kProfileNameBytesMax);
    v(2, "nonce", m.nonce, limits::kIdBytesMax * 2);
    v(3, "media_type", m.media_type, limits::kMediaTypeBytesMax);
    v(4, "evidence", m.evidence, limits::kEvidenceBytesMax);
  }
};

}  // namespace keyward::wire
