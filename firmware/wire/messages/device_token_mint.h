// acme -> attestation: a challenge token for device-attest-01, bound to account, identifier, order
// and expiry.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct DeviceTokenMintReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kDeviceTokenMint) + 1);
  static constexpr std::string_view kName = "device-token-mint-reply";
  std::string token;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "token", m.token, limits::kIdBytesMax * 2);
  }
};

struct DeviceTokenMint {
  using Reply = DeviceTokenMintReply;
  static constexpr MessageType kType = MessageType::kDeviceTokenMint;
  static constexpr std::string_view kName = "device-token-mint";
  Digest256 thumbprint{};
  Identifier identifier{};
  std::string ticket;
  std::int64_t expires_at_ms = 0;
  ValidationMethod method = ValidationMethod::kDeviceAttest01;  // or tkauth-01
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "ticket", m.ticket, limits::kIdBytesMax);
    v(4, "expires_at_ms", m.expires_at_ms);
    v(5, "method", m.method);
  }
};

}  // namespace keyward::wire
