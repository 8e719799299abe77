// acme -> store: the beginning of an account recovery.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct RecoveryPutReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kRecoveryPut) + 1);
  static constexpr std::string_view kName = "recovery-put-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct RecoveryPut {
  using Reply = RecoveryPutReply;
  static constexpr MessageType kType = MessageType::kRecoveryPut;
  static constexpr std::string_view kName = "recovery-put";
  RecoveryRecord recovery{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "recovery", m.recovery);
  }
};

}  // namespace keyward::wire
