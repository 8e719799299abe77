// attestation -> signer: is there a key for encrypted evidence in the HSM?
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct EvidenceKeyFindReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kEvidenceKeyFind) + 1);
  static constexpr std::string_view kName = "evidence-key-find-reply";
  std::optional<Bytes> spki;  // P-256, DER; absent: the module has none
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "spki", m.spki, limits::kSpkiBytesMax);
  }
};

struct EvidenceKeyFind {
  using Reply = EvidenceKeyFindReply;
  static constexpr MessageType kType = MessageType::kEvidenceKeyFind;
  static constexpr std::string_view kName = "evidence-key-find";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

}  // namespace keyward::wire
