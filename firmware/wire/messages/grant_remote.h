// attestation -> signer, and on no other edge: the remote attestation that a profile asks for was
// appraised, for one order under one profile.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct GrantRemoteReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kGrantRemote) + 1);
  static constexpr std::string_view kName = "grant-remote-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct GrantRemote {
  using Reply = GrantRemoteReply;
  static constexpr MessageType kType = MessageType::kGrantRemote;
  static constexpr std::string_view kName = "grant-remote";
  Digest256 thumbprint{};
  std::string hint;     // canonical: "-" written as "_"
  std::string profile;  // an order under another one has no use for it
  std::string policy;   // by which it was appraised; for the ledger
  std::string ticket;
  std::int64_t expires_at_ms = 0;
  Digest256 evidence_sha256{};
  std::optional<Digest256> spki_sha256;  // the attested key; the CSR's must equal it
  std::vector<Identifier>
      devices;  // that the evidence is about; the order must hold one of them, unless this is empty
  // Of the attestation key's certificate, if one signed: as in GrantDevice.
  std::optional<Bytes> ak_serial{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "hint", m.hint, limits::kProfileNameBytesMax);
    v(3, "profile", m.profile, limits::kProfileNameBytesMax);
    v(4, "policy", m.policy, limits::kProfileNameBytesMax);
    v(5, "ticket", m.ticket, limits::kIdBytesMax);
    v(6, "expires_at_ms", m.expires_at_ms);
    v(7, "evidence_sha256", m.evidence_sha256);
    v(8, "spki_sha256", m.spki_sha256);
    v(9, "devices", m.devices, limits::kIdentifiersPerOrderMax);
    v(10, "ak_serial", m.ak_serial, limits::kSerialOctetsMax);
  }
};

}  // namespace keyward::wire
