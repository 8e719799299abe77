// acme -> store: the signer has recorded that this certificate is revoked.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct CertificateMarkReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kCertificateMark) + 1);
  static constexpr std::string_view kName = "certificate-mark-reply";
  bool applied = false;  // false: it is not here, or was marked before
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "applied", m.applied);
  }
};

struct CertificateMark {
  using Reply = CertificateMarkReply;
  static constexpr MessageType kType = MessageType::kCertificateMark;
  static constexpr std::string_view kName = "certificate-mark";
  Bytes serial;
  std::int64_t revoked_at_ms = 0;
  std::optional<std::uint64_t> reason;  // RFC 5280 §5.3.1; absent: none given
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "serial", m.serial, 20);
    v(2, "revoked_at_ms", m.revoked_at_ms);
    v(3, "reason", m.reason);
  }
};

}  // namespace keyward::wire
