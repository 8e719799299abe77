// attestation -> signer, and on no other edge: an authority vouches for this identifier.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct GrantAuthorityReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kGrantAuthority) + 1);
  static constexpr std::string_view kName = "grant-authority-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct GrantAuthority {
  using Reply = GrantAuthorityReply;
  static constexpr MessageType kType = MessageType::kGrantAuthority;
  static constexpr std::string_view kName = "grant-authority";
  Digest256 thumbprint{};
  Identifier identifier{};
  std::string ticket;  // for one order alone
  std::int64_t expires_at_ms = 0;
  std::int64_t not_after_max_ms = 0;  // no certificate outlives the token (RFC 9447 §7)
  Digest256 evidence_sha256{};
  ValidationMethod method = ValidationMethod::kTkauth01;  // or vendor-jwt-01
  // A vendor's token: the customers' domains under which the device's service may lie; canonical.
  std::vector<std::string> domains{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "ticket", m.ticket, limits::kIdBytesMax);
    v(4, "expires_at_ms", m.expires_at_ms);
    v(5, "not_after_max_ms", m.not_after_max_ms);
    v(6, "evidence_sha256", m.evidence_sha256);
    v(7, "method", m.method);
    v(8, "domains", m.domains, limits::kVendorDomainsMax, limits::kDeviceIdentifierBytesMax);
  }
};

}  // namespace keyward::wire
