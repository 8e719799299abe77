// signer -> platform: read, make or advance the counter that the ledger's head is anchored in.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct AnchorAdvanceReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAnchorAdvance) + 1);
  static constexpr std::string_view kName = "anchor-advance-reply";
  std::optional<std::uint64_t> value;  // what it stands at now; absent: there is no counter yet
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "value", m.value);
  }
};

// "anchor-not-configured", "tpm-away", "tpm-failed".
struct AnchorAdvance {
  using Reply = AnchorAdvanceReply;
  static constexpr MessageType kType = MessageType::kAnchorAdvance;
  static constexpr std::string_view kName = "anchor-advance";
  // Absent: only read. 0: made, if there is none. Else: one up, if it stands at this value, so that
  // the same request twice counts once.
  std::optional<std::uint64_t> from;
  std::optional<Digest256> head_sha256;  // of the head that this is for: for the log alone
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "from", m.from);
    v(2, "head_sha256", m.head_sha256);
  }
};

}  // namespace keyward::wire
