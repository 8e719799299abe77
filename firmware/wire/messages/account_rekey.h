// acme -> store: another key for an account that keeps its URL (RFC 8555 §7.3.5, account recovery).
// The old thumbprint stays known as an earlier one.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"
#include "firmware/wire/messages/records.h"

namespace keyward::wire {

struct AccountRekeyReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAccountRekey) + 1);
  static constexpr std::string_view kName = "account-rekey-reply";
  bool applied = false;
  std::optional<std::string> holder_id;  // not applied: the account that has the new key already
  std::optional<AccountRecord> account;  // as it is now
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "applied", m.applied);
    v(2, "holder_id", m.holder_id, limits::kIdBytesMax);
    v(3, "account", m.account);
  }
};

struct AccountRekey {
  using Reply = AccountRekeyReply;
  static constexpr MessageType kType = MessageType::kAccountRekey;
  static constexpr std::string_view kName = "account-rekey";
  std::string id;
  Digest256 expected{};     // thumbprint of the key it has now
  Digest256 thumbprint{};   // of the new one
  std::string jwk;          // canonical
  bool end_orders = false;  // recovery: what the old key had begun ends
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "expected", m.expected);
    v(3, "thumbprint", m.thumbprint);
    v(4, "jwk", m.jwk, limits::kJwkBytesMax);
    v(5, "end_orders", m.end_orders);
  }
};

}  // namespace keyward::wire
