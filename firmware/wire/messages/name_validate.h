// acme -> validation: look whether the account controls the identifier; on success validation sends
// the signer its grant first.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct NameValidateReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kNameValidate) + 1);
  static constexpr std::string_view kName = "name-validate-reply";
  std::optional<ChallengeProblem> problem;  // absent: valid, and the signer holds the grant
  std::int64_t validated_at_ms = 0;
  std::int64_t grant_expires_at_ms = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "problem", m.problem);
    v(2, "validated_at_ms", m.validated_at_ms);
    v(3, "grant_expires_at_ms", m.grant_expires_at_ms);
  }
};

struct NameValidate {
  using Reply = NameValidateReply;
  static constexpr MessageType kType = MessageType::kNameValidate;
  static constexpr std::string_view kName = "name-validate";
  Digest256 thumbprint{};  // of the account key
  Identifier identifier{};
  bool wildcard = false;
  std::string ticket;
  ValidationMethod method{};
  std::int64_t expires_at_ms = 0;
  std::string token;
  bool subtree = false;
  std::string account_url;               // the client's kid
  std::vector<EarlierKey> earlier_keys;  // the token may have been minted for one of them
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "wildcard", m.wildcard);
    v(4, "ticket", m.ticket, limits::kIdBytesMax);
    v(5, "method", m.method);
    v(6, "expires_at_ms", m.expires_at_ms);
    v(7, "token", m.token, limits::kIdBytesMax * 2);
    v(8, "subtree", m.subtree);
    v(9, "account_url", m.account_url, limits::kUrlBytesMax);
    v(10, "earlier_keys", m.earlier_keys, limits::kEarlierKeysMax);
  }
};

}  // namespace keyward::wire
