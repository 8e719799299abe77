// acme -> store: valid authorizations of this account that another order may rely on (never those of
// devices, D-A9).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct AuthzFindReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAuthzFind) + 1);
  static constexpr std::string_view kName = "authz-find-reply";
  std::vector<AuthzRecord> authorizations;  // valid now, at most one for each identifier
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "authorizations", m.authorizations, limits::kIdentifiersPerOrderMax);
  }
};

struct AuthzFind {
  using Reply = AuthzFindReply;
  static constexpr MessageType kType = MessageType::kAuthzFind;
  static constexpr std::string_view kName = "authz-find";
  std::string account_id;
  std::vector<Identifier> identifiers;  // a wildcard keeps its "*."
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account_id", m.account_id, limits::kIdBytesMax);
    v(2, "identifiers", m.identifiers, limits::kIdentifiersPerOrderMax);
  }
};

}  // namespace keyward::wire
