// acme -> store: an authorization before any order (newAuthz, RFC 8555 §7.4.1).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct AuthzPutReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAuthzPut) + 1);
  static constexpr std::string_view kName = "authz-put-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct AuthzPut {
  using Reply = AuthzPutReply;
  static constexpr MessageType kType = MessageType::kAuthzPut;
  static constexpr std::string_view kName = "authz-put";
  AuthzRecord authz{};  // its ticket is empty
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "authz", m.authz);
  }
};

}  // namespace keyward::wire
