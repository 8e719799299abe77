// attestation -> signer, and on no other edge: this key was admitted by external account binding.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct GrantAccountReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kGrantAccount) + 1);
  static constexpr std::string_view kName = "grant-account-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct GrantAccount {
  using Reply = GrantAccountReply;
  static constexpr MessageType kType = MessageType::kGrantAccount;
  static constexpr std::string_view kName = "grant-account";
  Digest256 thumbprint{};
  std::string kid;
  std::vector<std::string> profiles;   // none: all
  std::optional<std::uint64_t> quota;  // certificates in all; absent: no bound
  std::int64_t expires_at_ms = 0;
  bool withdrawn = false;  // the credential was revoked: its accounts get nothing more
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "kid", m.kid, limits::kEabKidBytesMax);
    v(3, "profiles", m.profiles, 16, limits::kProfileNameBytesMax);
    v(4, "quota", m.quota);
    v(5, "expires_at_ms", m.expires_at_ms);
    v(6, "withdrawn", m.withdrawn);
  }
};

}  // namespace keyward::wire
