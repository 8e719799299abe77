// acme -> attestation: check an authority token (RFC 9447, 9448); on success attestation sends the
// signer its grant first.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct AuthorityVerifyReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAuthorityVerify) + 1);
  static constexpr std::string_view kName = "authority-verify-reply";
  std::optional<ChallengeProblem> problem;  // absent: it holds
  std::optional<std::string> fetch_url;     // nothing decided: ask again with what stands there
  std::int64_t validated_at_ms = 0;
  std::int64_t grant_expires_at_ms = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "problem", m.problem);
    v(2, "fetch_url", m.fetch_url, limits::kUrlBytesMax);
    v(3, "validated_at_ms", m.validated_at_ms);
    v(4, "grant_expires_at_ms", m.grant_expires_at_ms);
  }
};

struct AuthorityVerify {
  using Reply = AuthorityVerifyReply;
  static constexpr MessageType kType = MessageType::kAuthorityVerify;
  static constexpr std::string_view kName = "authority-verify";
  Digest256 thumbprint{};
  Identifier identifier{};
  std::string ticket;
  std::int64_t expires_at_ms = 0;
  std::string token;             // of the challenge
  std::string tkauth;            // compact JWS
  std::optional<Bytes> fetched;  // what stands at the token's x5u
  std::vector<EarlierKey> earlier_keys;
  ValidationMethod method = ValidationMethod::kTkauth01;  // or vendor-jwt-01
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "ticket", m.ticket, limits::kIdBytesMax);
    v(4, "expires_at_ms", m.expires_at_ms);
    v(5, "token", m.token, limits::kIdBytesMax * 2);
    v(6, "tkauth", m.tkauth, limits::kAuthorityTokenBytesMax);
    v(7, "fetched", m.fetched, limits::kFetchedBytesMax);
    v(8, "earlier_keys", m.earlier_keys, limits::kEarlierKeysMax);
    v(9, "method", m.method);
  }
};

}  // namespace keyward::wire
