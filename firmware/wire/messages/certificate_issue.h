// acme -> signer: the gate (DESIGN §2). The front end supplies nothing that the client did not
// sign.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct CertificateIssueReply {
  static constexpr MessageType kType =
      static_cast<MessageType>(static_cast<unsigned>(MessageType::kCertificateIssue) + 1);
  static constexpr std::string_view kName = "certificate-issue-reply";
  Bytes serial;
  std::vector<Bytes> chain;  // leaf first, DER
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;
  std::uint64_t ledger_row = 0;  // of the outcome
  bool replayed = false;         // the certificate was made by an earlier call
  // RFC 8739: the same finalize sent again after this makes the next certificate.
  std::optional<std::int64_t> star_next_at_ms;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "serial", m.serial, 20);
    v(2, "chain", m.chain, limits::kChainCertificatesMax, limits::kCertificateBytesMax);
    v(3, "not_before_ms", m.not_before_ms);
    v(4, "not_after_ms", m.not_after_ms);
    v(5, "ledger_row", m.ledger_row);
    v(6, "replayed", m.replayed);
    v(7, "star_next_at_ms", m.star_next_at_ms);
  }
};

struct CertificateIssue {
  using Reply = CertificateIssueReply;
  static constexpr MessageType kType = MessageType::kCertificateIssue;
  static constexpr std::string_view kName = "certificate-issue";
  std::string account_jwk;
  ClientJws jws{};  // the original finalize
  Bytes terms;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "account_jwk", m.account_jwk, limits::kJwkBytesMax);
    v(2, "jws", m.jws);
    v(3, "terms", m.terms, limits::kOrderTermsBytesMax);
  }
};

}  // namespace keyward::wire
