// acme -> attestation: a device shows its endorsement key's certificate and an attestation key; the
// answer is a credential that only a TPM with both can open (TPM2_MakeCredential).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct AkBeginReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAkBegin) + 1);
  static constexpr std::string_view kName = "ak-begin-reply";
  std::optional<ChallengeProblem> problem;  // absent: it holds
  std::string answer_json;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "problem", m.problem);
    v(2, "answer_json", m.answer_json, limits::kAkAnswerBytesMax);
  }
};

struct AkBegin {
  using Reply = AkBeginReply;
  static constexpr MessageType kType = MessageType::kAkBegin;
  static constexpr std::string_view kName = "ak-begin";
  Digest256 thumbprint{};
  Bytes payload;  // as the client signed it: docs/attestation-ca.md
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "payload", m.payload, limits::kEvidenceBytesMax);
  }
};

}  // namespace keyward::wire
