// acme -> validation: grants for the names that the installation says are the appliance's own, and
// no others.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct ApplianceGrantReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kApplianceGrant) + 1);
  static constexpr std::string_view kName = "appliance-grant-reply";
  std::int64_t grant_expires_at_ms = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "grant_expires_at_ms", m.grant_expires_at_ms);
  }
};

struct ApplianceGrant {
  using Reply = ApplianceGrantReply;
  static constexpr MessageType kType = MessageType::kApplianceGrant;
  static constexpr std::string_view kName = "appliance-grant";
  Digest256 thumbprint{};
  std::string ticket;
  std::vector<Identifier> names;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "ticket", m.ticket, limits::kIdBytesMax);
    v(3, "names", m.names, 16);
  }
};

}  // namespace keyward::wire
