// acme -> attestation: appraise a statement; on success attestation sends the signer its grant
// first.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct DeviceVerifyReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kDeviceVerify) + 1);
  static constexpr std::string_view kName = "device-verify-reply";
  std::optional<ChallengeProblem> problem;  // absent: valid, and the signer holds the grant
  std::int64_t validated_at_ms = 0;
  std::int64_t grant_expires_at_ms = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "problem", m.problem);
    v(2, "validated_at_ms", m.validated_at_ms);
    v(3, "grant_expires_at_ms", m.grant_expires_at_ms);
  }
};

struct DeviceVerify {
  using Reply = DeviceVerifyReply;
  static constexpr MessageType kType = MessageType::kDeviceVerify;
  static constexpr std::string_view kName = "device-verify";
  Digest256 thumbprint{};
  Identifier identifier{};
  std::string ticket;
  std::int64_t expires_at_ms = 0;
  std::string token;
  Bytes attestation_object;              // CBOR, from the challenge response
  std::vector<EarlierKey> earlier_keys;  // the token may have been minted for one of them
  std::string profile{};                 // of the order: how long evidence is kept
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "ticket", m.ticket, limits::kIdBytesMax);
    v(4, "expires_at_ms", m.expires_at_ms);
    v(5, "token", m.token, limits::kIdBytesMax * 2);
    v(6, "attestation_object", m.attestation_object, limits::kAttestationObjectBytesMax);
    v(7, "earlier_keys", m.earlier_keys, limits::kEarlierKeysMax);
    v(8, "profile", m.profile, limits::kProfileNameBytesMax);
  }
};

}  // namespace keyward::wire
