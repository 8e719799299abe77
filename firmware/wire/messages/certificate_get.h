// acme -> store: a certificate of this account, or the one that is good now of an order that renews
// its certificate by itself (RFC 8739 §3.3).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct CertificateGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kCertificateGet) + 1);
  static constexpr std::string_view kName = "certificate-get-reply";
  std::optional<CertificateRecord> certificate;
  std::optional<OrderStatus> order_status = std::nullopt;  // by ticket: valid or canceled
  std::optional<std::int64_t> star_end_ms = std::nullopt;  // by ticket: when the last one ends
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "certificate", m.certificate);
    v(2, "order_status", m.order_status);
    v(3, "star_end_ms", m.star_end_ms);
  }
};

struct CertificateGet {
  using Reply = CertificateGetReply;
  static constexpr MessageType kType = MessageType::kCertificateGet;
  static constexpr std::string_view kName = "certificate-get";
  std::string id;  // empty: by ticket
  std::string
      account_id;  // empty: nobody signed, only for a ticket whose order has certificate_get
  std::optional<std::string> ticket = std::nullopt;  // of an order that renews
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
    v(3, "ticket", m.ticket, limits::kIdBytesMax);
  }
};

}  // namespace keyward::wire
