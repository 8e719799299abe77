// acme -> store: change contacts or status; deactivation also ends pending orders (RFC 8555
// §7.3.6).
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct AccountUpdateReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAccountUpdate) + 1);
  static constexpr std::string_view kName = "account-update-reply";
  std::optional<AccountRecord> account;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account", m.account);
  }
};

struct AccountUpdate {
  using Reply = AccountUpdateReply;
  static constexpr MessageType kType = MessageType::kAccountUpdate;
  static constexpr std::string_view kName = "account-update";
  std::string id;
  std::optional<std::vector<std::string>> contacts;
  std::optional<AccountStatus> status;
  std::optional<std::string> terms_url{};  // agreed to now
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "contacts", m.contacts, limits::kContactsMax, limits::kContactBytesMax);
    v(3, "status", m.status);
    v(4, "terms_url", m.terms_url, limits::kUrlBytesMax);
  }
};

}  // namespace keyward::wire
