// acme -> store: a certificate of this account.
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
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "certificate", m.certificate);
  }
};

struct CertificateGet {
  using Reply = CertificateGetReply;
  static constexpr MessageType kType = MessageType::kCertificateGet;
  static constexpr std::string_view kName = "certificate-get";
  std::string id;
  std::string account_id;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
  }
};

}  // namespace keyward::wire
