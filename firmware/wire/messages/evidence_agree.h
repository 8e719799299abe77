// attestation -> signer: ECDH with the evidence key in the HSM (RFC 7518 §4.6), and no other key.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct EvidenceAgreeReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kEvidenceAgree) + 1);
  static constexpr std::string_view kName = "evidence-agree-reply";
  Bytes shared_secret;  // the x coordinate
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "shared_secret", m.shared_secret, 66);
  }
};

struct EvidenceAgree {
  using Reply = EvidenceAgreeReply;
  static constexpr MessageType kType = MessageType::kEvidenceAgree;
  static constexpr std::string_view kName = "evidence-agree";
  Bytes point;  // ephemeral public key, uncompressed (SEC 1)
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "point", m.point, 133);
  }
};

}  // namespace keyward::wire
