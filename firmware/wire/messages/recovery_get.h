// acme -> store: a recovery by its id, or the open ones of an account.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct RecoveryGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kRecoveryGet) + 1);
  static constexpr std::string_view kName = "recovery-get-reply";
  std::vector<RecoveryRecord> recoveries;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "recoveries", m.recoveries, limits::kRecoveriesPerAccountMax);
  }
};

struct RecoveryGet {
  using Reply = RecoveryGetReply;
  static constexpr MessageType kType = MessageType::kRecoveryGet;
  static constexpr std::string_view kName = "recovery-get";
  std::optional<std::string> id;  // exactly one of the two
  std::optional<std::string> account_id;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
  }
};

}  // namespace keyward::wire
