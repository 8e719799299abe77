// acme -> store: notices that are due.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct MailTakeReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kMailTake) + 1);
  static constexpr std::string_view kName = "mail-take-reply";
  std::vector<MailRecord> mails;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "mails", m.mails, 16);
  }
};

struct MailTake {
  using Reply = MailTakeReply;
  static constexpr MessageType kType = MessageType::kMailTake;
  static constexpr std::string_view kName = "mail-take";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

}  // namespace keyward::wire
