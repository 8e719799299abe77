// acme -> store: an authorization of this account, with its challenges.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct AuthzGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAuthzGet) + 1);
  static constexpr std::string_view kName = "authz-get-reply";
  std::optional<AuthzRecord> authz;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "authz", m.authz);
  }
};

struct AuthzGet {
  using Reply = AuthzGetReply;
  static constexpr MessageType kType = MessageType::kAuthzGet;
  static constexpr std::string_view kName = "authz-get";
  std::string id;
  std::string account_id;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
  }
};

}  // namespace keyward::wire
