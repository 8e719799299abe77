// admin -> signer: the newest signed head of the ledger, so that somebody elsewhere can keep it
// (docs/operations/audit.md). It is a signature over digests: it says nothing about anybody.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct AuditHeadGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAuditHeadGet) + 1);
  static constexpr std::string_view kName = "audit-head-get-reply";
  std::string line;  // as in heads.jsonl, without the line's end
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "line", m.line, limits::kAuditHeadLineBytesMax);
  }
};

struct AuditHeadGet {
  using Reply = AuditHeadGetReply;
  static constexpr MessageType kType = MessageType::kAuditHeadGet;
  static constexpr std::string_view kName = "audit-head-get";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

}  // namespace keyward::wire
