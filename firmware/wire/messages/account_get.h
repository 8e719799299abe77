// acme -> store: an account by id or by key.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct AccountGetReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAccountGet) + 1);
  static constexpr std::string_view kName = "account-get-reply";
  std::optional<AccountRecord> account;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account", m.account);
  }
};

struct AccountGet {
  using Reply = AccountGetReply;
  static constexpr MessageType kType = MessageType::kAccountGet;
  static constexpr std::string_view kName = "account-get";
  std::optional<std::string> id;  // exactly one of the two
  std::optional<Digest256> thumbprint;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "thumbprint", m.thumbprint);
  }
};

}  // namespace keyward::wire
