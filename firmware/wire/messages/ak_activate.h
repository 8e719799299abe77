// acme -> attestation: what the TPM got out of the credential; on success attestation sends the
// signer its grant first.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct AkActivateReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAkActivate) + 1);
  static constexpr std::string_view kName = "ak-activate-reply";
  std::optional<ChallengeProblem> problem;  // absent: it holds
  std::int64_t grant_expires_at_ms = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "problem", m.problem);
    v(2, "grant_expires_at_ms", m.grant_expires_at_ms);
  }
};

struct AkActivate {
  using Reply = AkActivateReply;
  static constexpr MessageType kType = MessageType::kAkActivate;
  static constexpr std::string_view kName = "ak-activate";
  Digest256 thumbprint{};
  Bytes payload;  // as the client signed it: docs/attestation-ca.md
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "payload", m.payload, limits::kEvidenceBytesMax);
  }
};

}  // namespace keyward::wire
