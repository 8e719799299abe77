// acme -> store: a new order with its authorizations and challenges, in one transaction.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct OrderPutReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kOrderPut) + 1);
  static constexpr std::string_view kName = "order-put-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct OrderPut {
  using Reply = OrderPutReply;
  static constexpr MessageType kType = MessageType::kOrderPut;
  static constexpr std::string_view kName = "order-put";
  OrderRecord order{};
  std::vector<AuthzRecord> authorizations;  // new ones
  std::vector<std::string> reused_ids;      // valid ones of this account that the order relies on
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "order", m.order);
    v(2, "authorizations", m.authorizations, limits::kIdentifiersPerOrderMax);
    v(3, "reused_ids", m.reused_ids, limits::kIdentifiersPerOrderMax, limits::kIdBytesMax);
  }
};

}  // namespace keyward::wire
