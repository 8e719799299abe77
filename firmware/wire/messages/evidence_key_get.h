// acme -> attestation: the public key for encrypted evidence (verifierEncryptionCredential).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct EvidenceKeyGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kEvidenceKeyGet) + 1);
  static constexpr std::string_view kName = "evidence-key-get-reply";
  std::optional<std::string> jwk;  // absent: no such key
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "jwk", m.jwk, limits::kJwkBytesMax);
  }
};

struct EvidenceKeyGet {
  using Reply = EvidenceKeyGetReply;
  static constexpr MessageType kType = MessageType::kEvidenceKeyGet;
  static constexpr std::string_view kName = "evidence-key-get";
  std::string kid;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "kid", m.kid, limits::kIdBytesMax);
  }
};

}  // namespace keyward::wire
