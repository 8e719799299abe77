// acme -> store: create an account unless its key has one (RFC 8555 §7.3.1).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct AccountPutReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAccountPut) + 1);
  static constexpr std::string_view kName = "account-put-reply";
  AccountRecord account{};  // the existing one if its key was known
  bool created = false;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account", m.account);
    v(2, "created", m.created);
  }
};

struct AccountPut {
  using Reply = AccountPutReply;
  static constexpr MessageType kType = MessageType::kAccountPut;
  static constexpr std::string_view kName = "account-put";
  AccountRecord account{};
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account", m.account);
  }
};

}  // namespace keyward::wire
