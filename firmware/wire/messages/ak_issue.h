// acme -> signer: the certificate of an activated attestation key. The client's own JWS, and the
// grant that attestation sent for its session, decide alone.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct AkIssueReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kAkIssue) + 1);
  static constexpr std::string_view kName = "ak-issue-reply";
  Bytes serial;
  std::vector<Bytes> chain;  // leaf first, DER
  std::int64_t not_after_ms = 0;
  bool replayed = false;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "serial", m.serial, 20);
    v(2, "chain", m.chain, limits::kChainCertificatesMax, limits::kCertificateBytesMax);
    v(3, "not_after_ms", m.not_after_ms);
    v(4, "replayed", m.replayed);
  }
};

struct AkIssue {
  using Reply = AkIssueReply;
  static constexpr MessageType kType = MessageType::kAkIssue;
  static constexpr std::string_view kName = "ak-issue";
  std::string account_jwk;  // canonical
  ClientJws jws{};          // the original request
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account_jwk", m.account_jwk, limits::kJwkBytesMax);
    v(2, "jws", m.jws);
  }
};

}  // namespace keyward::wire
