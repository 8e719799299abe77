// acme -> attestation: is this external account binding good (RFC 8555 §7.3.4)? On success attestation
// sends the signer the account's grant first.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct EabVerifyReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kEabVerify) + 1);
  static constexpr std::string_view kName = "eab-verify-reply";
  std::optional<ChallengeProblem> problem;  // absent: it holds
  std::string kid;
  std::vector<std::string> profiles;  // none: all
  std::optional<std::string>
      recovers_account;  // the credential is for the recovery of this account alone
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "problem", m.problem);
    v(2, "kid", m.kid, limits::kEabKidBytesMax);
    v(3, "profiles", m.profiles, 16, limits::kProfileNameBytesMax);
    v(4, "recovers_account", m.recovers_account, limits::kIdBytesMax);
  }
};

struct EabVerify {
  using Reply = EabVerifyReply;
  static constexpr MessageType kType = MessageType::kEabVerify;
  static constexpr std::string_view kName = "eab-verify";
  std::string account_jwk;  // canonical; of the outer JWS
  std::string url;          // of the outer JWS
  ClientJws binding{};      // the inner JWS as sent
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account_jwk", m.account_jwk, limits::kJwkBytesMax);
    v(2, "url", m.url, limits::kUrlBytesMax);
    v(3, "binding", m.binding);
  }
};

}  // namespace keyward::wire
