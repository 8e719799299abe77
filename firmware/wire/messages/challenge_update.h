// acme -> store: one edge of the challenge state machine and what follows for authorization and
// order, in one transaction (RFC 8555 §7.1.6).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct ChallengeUpdateReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kChallengeUpdate) + 1);
  static constexpr std::string_view kName = "challenge-update-reply";
  bool applied = false;
  std::optional<AuthzRecord> authz;  // as it is now
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "applied", m.applied);
    v(2, "authz", m.authz);
  }
};

struct ChallengeUpdate {
  using Reply = ChallengeUpdateReply;
  static constexpr MessageType kType = MessageType::kChallengeUpdate;
  static constexpr std::string_view kName = "challenge-update";
  std::string id;
  ChallengeStatus expected{};
  ChallengeStatus status{};
  std::optional<std::int64_t> validated_at_ms;
  std::optional<std::string> error_json;
  std::optional<std::int64_t> authz_expires_at_ms{};  // with valid: as long as the signer's grant
  std::optional<Bytes> answer{};                      // with processing: kept until it is decided
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "expected", m.expected);
    v(3, "status", m.status);
    v(4, "validated_at_ms", m.validated_at_ms);
    v(5, "error_json", m.error_json, limits::kDetailBytesMax * 2);
    v(6, "authz_expires_at_ms", m.authz_expires_at_ms);
    v(7, "answer", m.answer, limits::kEvidenceBytesMax);
  }
};

}  // namespace keyward::wire
