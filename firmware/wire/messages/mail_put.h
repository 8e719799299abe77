// acme -> store: a notice to be sent when a relay can be reached.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct MailPutReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kMailPut) + 1);
  static constexpr std::string_view kName = "mail-put-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct MailPut {
  using Reply = MailPutReply;
  static constexpr MessageType kType = MessageType::kMailPut;
  static constexpr std::string_view kName = "mail-put";
  MailRecord mail{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "mail", m.mail);
  }
};

}  // namespace keyward::wire
