// acme -> store: a notice was sent, given up, or is to be tried again.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct MailDoneReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kMailDone) + 1);
  static constexpr std::string_view kName = "mail-done-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct MailDone {
  using Reply = MailDoneReply;
  static constexpr MessageType kType = MessageType::kMailDone;
  static constexpr std::string_view kName = "mail-done";
  std::string id;
  std::optional<std::int64_t> again_at_ms;  // absent: forget it
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "again_at_ms", m.again_at_ms);
  }
};

}  // namespace keyward::wire
