// acme -> store: deactivate an authorization (RFC 8555 §7.5.2), or revoke one that the signer has no
// proof for; orders that need it become invalid.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct AuthzUpdateReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAuthzUpdate) + 1);
  static constexpr std::string_view kName = "authz-update-reply";
  std::optional<AuthzRecord> authz;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "authz", m.authz);
  }
};

struct AuthzUpdate {
  using Reply = AuthzUpdateReply;
  static constexpr MessageType kType = MessageType::kAuthzUpdate;
  static constexpr std::string_view kName = "authz-update";
  std::string id;
  std::string account_id;
  AuthzStatus status{};  // deactivated, which alone a client may ask for, or revoked
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
    v(3, "status", m.status);
  }
};

}  // namespace keyward::wire
