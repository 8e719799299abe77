// acme -> store: a certificate by its serial, whoever it belongs to (revocation, RFC 9773).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct CertificateFindReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kCertificateFind) + 1);
  static constexpr std::string_view kName = "certificate-find-reply";
  std::optional<CertificateRecord> certificate;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "certificate", m.certificate);
  }
};

struct CertificateFind {
  using Reply = CertificateFindReply;
  static constexpr MessageType kType = MessageType::kCertificateFind;
  static constexpr std::string_view kName = "certificate-find";
  Bytes serial;  // content octets
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "serial", m.serial, 20);
  }
};

}  // namespace keyward::wire
