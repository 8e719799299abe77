// acme -> signer: the client's own revocation (RFC 8555 §7.6).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct CertificateRevokeReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kCertificateRevoke) + 1);
  static constexpr std::string_view kName = "certificate-revoke-reply";
  Bytes serial;
  std::int64_t revoked_at_ms = 0;
  std::optional<std::uint64_t> reason;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "serial", m.serial, 20);
    v(2, "revoked_at_ms", m.revoked_at_ms);
    v(3, "reason", m.reason);
  }
};

struct CertificateRevoke {
  using Reply = CertificateRevokeReply;
  static constexpr MessageType kType = MessageType::kCertificateRevoke;
  static constexpr std::string_view kName = "certificate-revoke";
  std::optional<std::string>
      account_jwk;  // absent: signed with the certificate's own key, which the header holds
  ClientJws jws{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account_jwk", m.account_jwk, limits::kJwkBytesMax);
    v(2, "jws", m.jws);
  }
};

}  // namespace keyward::wire
