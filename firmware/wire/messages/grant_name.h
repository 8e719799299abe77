// validation -> signer, and on no other edge: this account controls this name.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct GrantNameReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kGrantName) + 1);
  static constexpr std::string_view kName = "grant-name-reply";
  template <class Self, class V>
  static void fields(Self&, V&) {}
};

struct GrantName {
  using Reply = GrantNameReply;
  static constexpr MessageType kType = MessageType::kGrantName;
  static constexpr std::string_view kName = "grant-name";
  Digest256 thumbprint{};
  Identifier identifier{};
  bool wildcard = false;  // also covers *.identifier
  ValidationMethod method{};
  std::optional<std::string> ticket;  // absent: good for any order of this account
  std::int64_t expires_at_ms = 0;
  Digest256 evidence_sha256{};
  bool subtree = false;  // also covers every name below (RFC 9444)
  std::optional<std::string>
      account_url{};  // was part of what was looked at: the client must have signed with it
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "wildcard", m.wildcard);
    v(4, "method", m.method);
    v(5, "ticket", m.ticket, limits::kIdBytesMax);
    v(6, "expires_at_ms", m.expires_at_ms);
    v(7, "evidence_sha256", m.evidence_sha256);
    v(8, "subtree", m.subtree);
    v(9, "account_url", m.account_url, limits::kUrlBytesMax);
  }
};

}  // namespace keyward::wire
