// acme -> attestation: appraise the answer to remote-attest-01 (draft-ietf-acme-rats); on success
// attestation sends the signer its grant first. Where a policy leaves the appraisal to another
// verifier, the reply says what to relay, and the same is asked again with what came back.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

// Evidence for another verifier (RFC 9334, background check).
struct RelayOrder {
  std::string verifier;  // name of a table [validation.verifiers.<name>]
  std::string nonce;     // base64url, as the challenge shows it
  std::string media_type;
  Bytes evidence;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "verifier", m.verifier, limits::kProfileNameBytesMax);
    v(2, "nonce", m.nonce, limits::kIdBytesMax * 2);
    v(3, "media_type", m.media_type, limits::kMediaTypeBytesMax);
    v(4, "evidence", m.evidence, limits::kEvidenceBytesMax);
  }
};

struct RemoteVerifyReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kRemoteVerify) + 1);
  static constexpr std::string_view kName = "remote-verify-reply";
  std::optional<ChallengeProblem> problem;  // absent: it holds
  std::optional<RelayOrder> relay;          // nothing decided: ask this verifier first
  std::int64_t validated_at_ms = 0;
  std::int64_t grant_expires_at_ms = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "problem", m.problem);
    v(2, "relay", m.relay);
    v(3, "validated_at_ms", m.validated_at_ms);
    v(4, "grant_expires_at_ms", m.grant_expires_at_ms);
  }
};

struct RemoteVerify {
  using Reply = RemoteVerifyReply;
  static constexpr MessageType kType = MessageType::kRemoteVerify;
  static constexpr std::string_view kName = "remote-verify";
  Digest256 thumbprint{};
  Identifier identifier{};
  std::string profile;  // of the order; the grant is for it alone
  std::string ticket;
  std::int64_t expires_at_ms = 0;
  std::string token;                     // the freshness nonce
  Bytes payload;                         // of the challenge response, as it was signed
  std::vector<EarlierKey> earlier_keys;  // the token may have been minted for one of them
  std::optional<Bytes> relayed;          // what the other verifier said
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "thumbprint", m.thumbprint);
    v(2, "identifier", m.identifier);
    v(3, "profile", m.profile, limits::kProfileNameBytesMax);
    v(4, "ticket", m.ticket, limits::kIdBytesMax);
    v(5, "expires_at_ms", m.expires_at_ms);
    v(6, "token", m.token, limits::kIdBytesMax * 2);
    v(7, "payload", m.payload, limits::kEvidenceBytesMax);
    v(8, "earlier_keys", m.earlier_keys, limits::kEarlierKeysMax);
    v(9, "relayed", m.relayed, limits::kRelayedResultBytesMax);
  }
};

}  // namespace keyward::wire
