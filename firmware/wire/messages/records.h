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
  std::int64_t created_at_ms = 0;           // UTC
  std::optional<std::string> terms_url;     // which terms were agreed to
  std::optional<std::string> binding_json;  // externalAccountBinding as verified; shown again
  std::optional<std::string> eab_kid;
  std::vector<EarlierKey> earlier_keys;  // oldest first
  std::optional<std::string> tenant;     // whose directory it came by; absent: the appliance's own
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "thumbprint", m.thumbprint);
    v(3, "jwk", m.jwk, limits::kJwkBytesMax);
    v(4, "status", m.status);
    v(5, "contacts", m.contacts, limits::kContactsMax, limits::kContactBytesMax);
    v(6, "terms_agreed", m.terms_agreed);
    v(7, "created_at_ms", m.created_at_ms);
    v(8, "terms_url", m.terms_url, limits::kUrlBytesMax);
    v(9, "binding_json", m.binding_json, limits::kEabBytesMax);
    v(10, "eab_kid", m.eab_kid, limits::kEabKidBytesMax);
    v(11, "earlier_keys", m.earlier_keys, limits::kEarlierKeysMax);
    v(12, "tenant", m.tenant, limits::kTenantBytesMax);
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
  std::optional<std::string> data_json;   // an object whose members the method shows beside its own
  std::optional<Bytes> answer{};  // the client's signed payload, kept while it is processing alone
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "authz_id", m.authz_id, limits::kIdBytesMax);
    v(3, "method", m.method);
    v(4, "status", m.status);
    v(5, "token", m.token, limits::kIdBytesMax * 2);
    v(6, "validated_at_ms", m.validated_at_ms);
    v(7, "error_json", m.error_json, limits::kDetailBytesMax * 2);
    v(8, "data_json", m.data_json, limits::kChallengeDataBytesMax);
    v(9, "answer", m.answer, limits::kEvidenceBytesMax);
  }
};

struct AuthzRecord {
  std::string id;
  std::string account_id;
  std::string ticket;  // of the one order it is for; empty: for any order of the account
  Identifier identifier{};
  bool wildcard = false;
  AuthzStatus status{};
  std::int64_t expires_at_ms = 0;
  std::vector<ChallengeRecord> challenges;
  bool subtree = false;  // names below are covered as well (RFC 9444 subdomainAuthAllowed)
  std::optional<std::string> tenant{};  // in whose part of the server it was made
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
    v(9, "subtree", m.subtree);
    v(10, "tenant", m.tenant, limits::kTenantBytesMax);
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
  std::optional<ClientJws> finalize;            // kept while processing, to be sent again
  std::optional<std::string> certificate_id;    // STAR: the one that is good now
  std::optional<std::string> replaces;          // RFC 9773: a certificate's id
  std::optional<std::int64_t> star_next_at_ms;  // RFC 8739: the next certificate is due then
  std::optional<bool> certificate_get;          // RFC 8739: may be fetched without a signature
  std::optional<std::string> tenant{};          // whose newOrder it came by
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
    v(10, "replaces", m.replaces, limits::kIdBytesMax);
    v(11, "star_next_at_ms", m.star_next_at_ms);
    v(12, "certificate_get", m.certificate_get);
    v(13, "tenant", m.tenant, limits::kTenantBytesMax);
  }
};

struct CertificateRecord {
  std::string id;
  std::string account_id;
  std::string ticket;
  Bytes serial;
  std::int64_t not_after_ms = 0;
  std::vector<Bytes> chain;  // leaf first, DER
  std::optional<std::int64_t> revoked_at_ms;
  std::optional<std::uint64_t> revocation_reason;  // RFC 5280 §5.3.1
  std::optional<std::string> replaced_by;  // ticket of the order that replaces it (RFC 9773)
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
    v(3, "ticket", m.ticket, limits::kIdBytesMax);
    v(4, "serial", m.serial, 20);
    v(5, "not_after_ms", m.not_after_ms);
    v(6, "chain", m.chain, limits::kChainCertificatesMax, limits::kCertificateBytesMax);
    v(7, "revoked_at_ms", m.revoked_at_ms);
    v(8, "revocation_reason", m.revocation_reason);
    v(9, "replaced_by", m.replaced_by, limits::kIdBytesMax);
  }
};

// Another key for an account whose key was lost (docs/protocols.md, account recovery). One for an
// account that does not exist is kept just the same, so that nobody can tell.
struct RecoveryRecord {
  std::string id;
  std::string account_id;  // as asked for; may be nobody's
  Digest256 thumbprint{};  // of the new key
  std::string jwk;
  std::string method;  // "contact", "binding", "certificate"
  RecoveryStatus status{};
  std::int64_t created_at_ms = 0;
  std::int64_t expires_at_ms = 0;
  std::int64_t ready_at_ms = 0;          // processing: the key is replaced then
  std::optional<Digest256> code_sha256;  // of the code that was sent to the contacts
  std::optional<Digest256> veto_sha256;  // of the code that ends it, sent to them as well
  std::optional<std::string> error_json;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "account_id", m.account_id, limits::kIdBytesMax);
    v(3, "thumbprint", m.thumbprint);
    v(4, "jwk", m.jwk, limits::kJwkBytesMax);
    v(5, "method", m.method, 32);
    v(6, "status", m.status);
    v(7, "created_at_ms", m.created_at_ms);
    v(8, "expires_at_ms", m.expires_at_ms);
    v(9, "ready_at_ms", m.ready_at_ms);
    v(10, "code_sha256", m.code_sha256);
    v(11, "veto_sha256", m.veto_sha256);
    v(12, "error_json", m.error_json, limits::kDetailBytesMax * 2);
  }
};

// A notice that waits for a relay.
struct MailRecord {
  std::string id;
  std::string to;
  std::string subject;
  std::string text;
  std::int64_t created_at_ms = 0;
  std::int64_t due_at_ms = 0;
  std::uint64_t attempts = 0;
  template <class Self, class V>
  static void fields(Self& m, V& v) {
    v(1, "id", m.id, limits::kIdBytesMax);
    v(2, "to", m.to, limits::kContactBytesMax);
    v(3, "subject", m.subject, limits::kMailSubjectBytesMax);
    v(4, "text", m.text, limits::kMailTextBytesMax);
    v(5, "created_at_ms", m.created_at_ms);
    v(6, "due_at_ms", m.due_at_ms);
    v(7, "attempts", m.attempts);
  }
};

}  // namespace keyward::wire
