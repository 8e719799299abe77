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
  std::vector<std::string> claims_hint{};     // remote-attest-01: attestClaimsHint
  std::optional<std::string> evidence_kid{};  // of the key for encrypted evidence
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "token", m.token, limits::kIdBytesMax * 2);
    v(2, "claims_hint", m.claims_hint, limits::kClaimsHintsMax, limits::kProfileNameBytesMax);
    v(3, "evidence_kid", m.evidence_kid, limits::kIdBytesMax);
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
  ValidationMethod method =
      ValidationMethod::kDeviceAttest01;  // or tkauth, vendor-jwt, remote-attest
  std::string profile{};                  // of the order
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "ticket", m.ticket, limits::kIdBytesMax);
    v(4, "expires_at_ms", m.expires_at_ms);
    v(5, "method", m.method);
    v(6, "profile", m.profile, limits::kProfileNameBytesMax);
  }
};

}  // namespace keyward::wire
