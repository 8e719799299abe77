// attestation -> signer, and on no other edge: this key lives in this device.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct GrantDeviceReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kGrantDevice) + 1);
  static constexpr std::string_view kName = "grant-device-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct GrantDevice {
  using Reply = GrantDeviceReply;
  static constexpr MessageType kType = MessageType::kGrantDevice;
  static constexpr std::string_view kName = "grant-device";
  Digest256 thumbprint{};
  Identifier identifier{};
  std::string format;       // attestation statement format
  std::string ticket;       // a device grant is for one order alone (D-A9)
  Digest256 spki_sha256{};  // the attested key; the CSR's must equal it
  std::int64_t expires_at_ms = 0;
  Digest256 evidence_sha256{};
  // Of the attestation key's certificate: one that was issued here and revoked vouches for nothing.
  std::optional<Bytes> ak_serial{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "format", m.format, 32);
    v(4, "ticket", m.ticket, limits::kIdBytesMax);
    v(5, "spki_sha256", m.spki_sha256);
    v(6, "expires_at_ms", m.expires_at_ms);
    v(7, "evidence_sha256", m.evidence_sha256);
    v(8, "ak_serial", m.ak_serial, limits::kSerialOctetsMax);
  }
};

}  // namespace keyward::wire
