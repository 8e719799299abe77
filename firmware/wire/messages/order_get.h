// acme -> store: an order of this account.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct OrderGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kOrderGet) + 1);
  static constexpr std::string_view kName = "order-get-reply";
  std::optional<OrderRecord> order;    // absent: not there, or another account's
  std::vector<std::string> authz_ids;  // in the order's sequence
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "order", m.order);
    v(2, "authz_ids", m.authz_ids, limits::kIdentifiersPerOrderMax, limits::kIdBytesMax);
  }
};

struct OrderGet {
  using Reply = OrderGetReply;
  static constexpr MessageType kType = MessageType::kOrderGet;
  static constexpr std::string_view kName = "order-get";
  std::string ticket;
  std::string account_id;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "ticket", m.ticket, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
  }
};

}  // namespace keyward::wire
