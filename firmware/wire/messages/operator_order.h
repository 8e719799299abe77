// admin -> signer: what an operator orders, as the operator signed it (docs/operations/orders.md).
// The signer believes the signatures and nobody who brings them.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct OperatorOrderReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kOperatorOrder) + 1);
  static constexpr std::string_view kName = "operator-order-reply";
  std::string answer;  // JSON: what was done
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "answer", m.answer, limits::kOperatorAnswerBytesMax);
  }
};

struct OperatorOrder {
  using Reply = OperatorOrderReply;
  static constexpr MessageType kType = MessageType::kOperatorOrder;
  static constexpr std::string_view kName = "operator-order";
  Bytes jws;  // flattened or general JSON (RFC 7515 §7.2), as it was signed
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "jws", m.jws, limits::kOperatorOrderBytesMax);
  }
};

}  // namespace keyward::wire
