// signer -> platform: how far the appliance's clock can be trusted now.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct TimeGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kTimeGet) + 1);
  static constexpr std::string_view kName = "time-get-reply";
  std::uint64_t level = 0;   // hal::TimeLevel
  std::uint64_t utc_ms = 0;  // the platform's clock when it judged
  std::string detail;        // on what grounds, for an operator
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "level", m.level);
    v(2, "utc_ms", m.utc_ms);
    v(3, "detail", m.detail, limits::kDetailBytesMax);
  }
};

struct TimeGet {
  using Reply = TimeGetReply;
  static constexpr MessageType kType = MessageType::kTimeGet;
  static constexpr std::string_view kName = "time-get";
  // The signer's floor: the time of the ledger's last entry. A clock below it is worth nothing.
  std::uint64_t floor_ms = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "floor_ms", m.floor_ms);
  }
};

}  // namespace keyward::wire
