// Owns the rows that store keeps and acme reads. Must not know SQL.
#pragma once

#include "firmware/wire/codec.h"
#include "firmware/wire/messages/common.h"

namespace keyward::wire {

struct AccountRecord {
  std::string id;          // last part of the account URL
  Digest256 thumbprint{};  // RFC 7638, SHA-256, of the account key
  std::string jwk;         // canonical JWK
  AccountStatus status{};
  std::vector<std::string> contacts;
  bool terms_agreed = false;
  std::int64_t created_at_ms = 0;  // UTC
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "thumbprint", m.thumbprint);
    v(3, "jwk", m.jwk, limits::kJwkBytesMax);
    v(4, "status", m.status);
    v(5, "contacts", m.contacts, limits::kContactsMax, limits::kContactBytesMax);
    v(6, "terms_agreed", m.terms_agreed);
    v(7, "created_at_ms", m.created_at_ms);
  }
};

struct ChallengeRecord {
  std::string id;
  std::string authz_id;
  ValidationMethod method{};
  ChallengeStatus status{};
  std::string token;
  std::optional<std::int64_t> validated_at_ms;
  std::optional<std::string> error_json;  // problem document
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "authz_id", m.authz_id, limits::kIdBytesMax);
    v(3, "method", m.method);
    v(4, "status", m.status);
    v(5, "token", m.token, limits::kIdBytesMax * 2);
    v(6, "validated_at_ms", m.validated_at_ms);
    v(7, "error_json", m.error_json, limits::kDetailBytesMax * 2);
  }
};

struct AuthzRecord {
  std::string id;
  std::string account_id;
  std::string ticket;  // the order it belongs to
  Identifier identifier{};
  bool wildcard = false;
  AuthzStatus status{};
  std::int64_t expires_at_ms = 0;
  std::vector<ChallengeRecord> challenges;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
    v(3, "ticket", m.ticket, limits::kIdBytesMax);
    v(4, "identifier", m.identifier);
    v(5, "wildcard", m.wildcard);
    v(6, "status", m.status);
    v(7, "expires_at_ms", m.expires_at_ms);
    v(8, "challenges", m.challenges, 8);
  }
};

struct OrderRecord {
  std::string ticket;  // minted by the signer; the order URL's last part
  std::string account_id;
  OrderStatus status{};
  std::int64_t expires_at_ms = 0;
  Bytes terms;                          // OrderTerms as the signer encoded them
  std::vector<Identifier> identifiers;  // as the order shows them
  std::optional<std::string> error_json;
  std::optional<ClientJws> finalize;  // kept while processing, to be sent again
  std::optional<std::string> certificate_id;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "ticket", m.ticket, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
    v(3, "status", m.status);
    v(4, "expires_at_ms", m.expires_at_ms);
    v(5, "terms", m.terms, limits::kOrderTermsBytesMax);
    v(6, "identifiers", m.identifiers, limits::kIdentifiersPerOrderMax);
    v(7, "error_json", m.error_json, limits::kDetailBytesMax * 2);
    v(8, "finalize", m.finalize);
    v(9, "certificate_id", m.certificate_id, limits::kIdBytesMax);
  }
};

struct CertificateRecord {
  std::string id;
  std::string account_id;
  std::string ticket;
  Bytes serial;
  std::int64_t not_after_ms = 0;
  std::vector<Bytes> chain;  // leaf first, DER
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
    v(3, "ticket", m.ticket, limits::kIdBytesMax);
    v(4, "serial", m.serial, 20);
    v(5, "not_after_ms", m.not_after_ms);
    v(6, "chain", m.chain, limits::kChainCertificatesMax, limits::kCertificateBytesMax);
  }
};

}  // namespace keyward::wire
