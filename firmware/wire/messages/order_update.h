// acme -> store: one edge of the order state machine (RFC 8555 §7.1.6), compare and set.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct OrderUpdateReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kOrderUpdate) + 1);
  static constexpr std::string_view kName = "order-update-reply";
  bool applied = false;
  std::optional<OrderRecord> order;  // as it is now
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "applied", m.applied);
    v(2, "order", m.order);
  }
};

struct OrderUpdate {
  using Reply = OrderUpdateReply;
  static constexpr MessageType kType = MessageType::kOrderUpdate;
  static constexpr std::string_view kName = "order-update";
  std::string ticket;
  OrderStatus expected{};  // applied only if the order is in this state
  OrderStatus status{};
  std::optional<ClientJws> finalize;
  std::optional<std::string> error_json;
  std::optional<CertificateRecord> certificate;
  std::optional<std::int64_t> star_next_at_ms;  // with a certificate: when the next one is due
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "ticket", m.ticket, limits::kIdBytesMax);
    v(2, "expected", m.expected);
    v(3, "status", m.status);
    v(4, "finalize", m.finalize);
    v(5, "error_json", m.error_json, limits::kDetailBytesMax * 2);
    v(6, "certificate", m.certificate);
    v(7, "star_next_at_ms", m.star_next_at_ms);
  }
};

}  // namespace keyward::wire
