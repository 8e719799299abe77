// acme -> store: the orders of one account that are worth showing (RFC 8555 §7.1.2.1: not the
// invalid ones).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct OrderListReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kOrderList) + 1);
  static constexpr std::string_view kName = "order-list-reply";
  std::vector<std::string> tickets;  // oldest first
  std::optional<std::string> next;   // there is more: the cursor to go on with
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "tickets", m.tickets, limits::kOrdersPageMax, limits::kIdBytesMax);
    v(2, "next", m.next, limits::kIdBytesMax);
  }
};

struct OrderList {
  using Reply = OrderListReply;
  static constexpr MessageType kType = MessageType::kOrderList;
  static constexpr std::string_view kName = "order-list";
  std::string account_id;
  std::optional<std::string> cursor;  // from `next`; base64url alphabet; absent: from the start
  std::optional<std::uint64_t> limit{};  // of the page; absent or too large: limits::kOrdersPageMax
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account_id", m.account_id, limits::kIdBytesMax);
    v(2, "cursor", m.cursor, limits::kIdBytesMax);
    v(3, "limit", m.limit);
  }
};

}  // namespace keyward::wire
