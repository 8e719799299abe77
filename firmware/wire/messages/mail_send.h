// acme -> validation: hand a notice to the configured relay.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct MailSendReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kMailSend) + 1);
  static constexpr std::string_view kName = "mail-send-reply";
  std::optional<ChallengeProblem> problem;  // absent: it holds
  bool again = false;                       // with a problem: it may work later
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "problem", m.problem);
    v(2, "again", m.again);
  }
};

struct MailSend {
  using Reply = MailSendReply;
  static constexpr MessageType kType = MessageType::kMailSend;
  static constexpr std::string_view kName = "mail-send";
  std::string to;  // address, no scheme
  std::string subject;
  std::string text;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "to", m.to, limits::kContactBytesMax);
    v(2, "subject", m.subject, limits::kMailSubjectBytesMax);
    v(3, "text", m.text, limits::kMailTextBytesMax);
  }
};

}  // namespace keyward::wire
