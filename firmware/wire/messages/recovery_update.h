// acme -> store: one edge of a recovery, compare and set.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct RecoveryUpdateReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kRecoveryUpdate) + 1);
  static constexpr std::string_view kName = "recovery-update-reply";
  bool applied = false;
  std::optional<RecoveryRecord> recovery;  // as it is now
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "applied", m.applied);
    v(2, "recovery", m.recovery);
  }
};

struct RecoveryUpdate {
  using Reply = RecoveryUpdateReply;
  static constexpr MessageType kType = MessageType::kRecoveryUpdate;
  static constexpr std::string_view kName = "recovery-update";
  std::string id;
  RecoveryStatus expected{};
  RecoveryStatus status{};
  std::optional<std::int64_t> ready_at_ms;  // end of the cooling-off time
  std::optional<std::string> error_json;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "expected", m.expected);
    v(3, "status", m.status);
    v(4, "ready_at_ms", m.ready_at_ms);
    v(5, "error_json", m.error_json, limits::kDetailBytesMax * 2);
  }
};

}  // namespace keyward::wire
