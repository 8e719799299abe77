// Owns the SQL text of every operation, by name. Must not know messages.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace keyward::store {

enum Sql : std::size_t {
  kBegin,
  kBeginRead,
  kCommit,
  kRollback,
  kPageCount,
  kFreePageCount,
  kAccountInsert,
  kAccountById,
  kAccountByThumbprint,
  kAccountSetContacts,
  kAccountSetStatus,
  kAccountCount,
  kOrderInsert,
  kOrderByTicket,
  kOrderOwned,
  kOrderSetStatus,
  kOrderSetResult,
  kOrderAuthzIds,
  kOrdersOpenCount,
  kOrdersOpenOf,
  kOrdersOfAccount,
  kOrdersAfter,
  kOrderDelete,
  kAuthzInsert,
  kAuthzOwned,
  kAuthzByNumber,
  kAuthzSetStatus,
  kAuthzNotValidCount,
  kAuthzEndOfOrder,
  kAuthzDeleteOfOrder,
  kChallengeInsert,
  kChallengeById,
  kChallengeSet,
  kChallengesOfAuthz,
  kChallengesEndOfOrder,
  kChallengeDeleteOfOrder,
  kIssuerFind,
  kIssuerInsert,
  kCertificateInsert,
  kCertificateOwned,
  kCertificatesAfter,
  kCertificateDelete,
  kWorkChallenges,
  kWorkOrders,
  kSqlCount
};

#define KEYWARD_ORDER_COLUMNS                                                        \
  "o.n, o.ticket, a.id, o.status, o.expires_at_ms, o.certificate_id, o.error_json, " \
  "o.identifiers, o.terms, o.finalize"
#define KEYWARD_AUTHZ_COLUMNS                                                                \
  "z.n, z.id, a.id, o.ticket, z.identifier_type, z.identifier_value, z.wildcard, z.status, " \
  "z.expires_at_ms"
#define KEYWARD_AUTHZ_JOINS \
  "FROM authorizations z JOIN orders o ON o.n = z.n >> 6 JOIN accounts a ON a.n = o.account_n "

inline constexpr std::array<std::string_view, kSqlCount> kSqlTexts = [] {
  std::array<std::string_view, kSqlCount> t{};
  t[kBegin] = "BEGIN IMMEDIATE";
  t[kBeginRead] = "BEGIN";
  t[kPageCount] = "PRAGMA page_count";
  t[kFreePageCount] = "PRAGMA freelist_count";
  t[kCommit] = "COMMIT";
  t[kRollback] = "ROLLBACK";

  t[kAccountInsert] =
      "INSERT INTO accounts (id, thumbprint, jwk, status, contacts, terms_agreed, created_at_ms) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
  t[kAccountById] =
      "SELECT n, id, thumbprint, jwk, status, contacts, terms_agreed, created_at_ms FROM accounts "
      "WHERE id = ?1";
  t[kAccountByThumbprint] =
      "SELECT n, id, thumbprint, jwk, status, contacts, terms_agreed, created_at_ms FROM accounts "
      "WHERE thumbprint = ?1";
  t[kAccountSetContacts] = "UPDATE accounts SET contacts = ?2 WHERE n = ?1";
  t[kAccountSetStatus] = "UPDATE accounts SET status = ?2 WHERE n = ?1";
  t[kAccountCount] = "SELECT count(*) FROM accounts";

  t[kOrderInsert] =
      "INSERT INTO orders (ticket, account_n, status, expires_at_ms, identifiers, terms) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
  t[kOrderByTicket] = "SELECT " KEYWARD_ORDER_COLUMNS
                      " FROM orders o JOIN accounts a ON a.n = o.account_n WHERE o.ticket = ?1";
  t[kOrderOwned] =
      "SELECT " KEYWARD_ORDER_COLUMNS
      " FROM orders o JOIN accounts a ON a.n = o.account_n WHERE o.ticket = ?1 AND a.id = ?2";
  t[kOrderSetStatus] =
      "UPDATE orders SET status = ?2, error_json = coalesce(?3, error_json) WHERE n = ?1";
  t[kOrderSetResult] =
      "UPDATE orders SET status = ?2, error_json = ?3, finalize = ?4, certificate_id = ?5 WHERE n "
      "= ?1";
  t[kOrderAuthzIds] =
      "SELECT id FROM authorizations WHERE n >= ?1 << 6 AND n < (?1 + 1) << 6 ORDER BY n";
  t[kOrdersOpenCount] =
      "SELECT count(*) FROM orders INDEXED BY orders_open WHERE account_n = ?1 AND status IN (1, "
      "2, 3) AND (expires_at_ms > ?2 OR status = 3)";
  t[kOrdersOpenOf] = "SELECT n FROM orders WHERE account_n = ?1 AND status IN (1, 2, 3)";
  // status 1 and 2 past their time read as invalid, which the list does not show (RFC 8555
  // §7.1.2.1).
  t[kOrdersOfAccount] =
      "SELECT n, ticket FROM orders INDEXED BY orders_of_account WHERE account_n = (SELECT n FROM "
      "accounts WHERE id = ?1) AND n > ?2 "
      "AND (status IN (3, 4) OR (status IN (1, 2) AND expires_at_ms > ?3)) ORDER BY n LIMIT ?4";
  t[kOrdersAfter] = "SELECT n, expires_at_ms FROM orders WHERE n > ?1 ORDER BY n LIMIT ?2";
  t[kOrderDelete] = "DELETE FROM orders WHERE n = ?1";

  t[kAuthzInsert] =
      "INSERT INTO authorizations (n, id, identifier_type, identifier_value, wildcard, status, "
      "expires_at_ms) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
  t[kAuthzOwned] =
      "SELECT " KEYWARD_AUTHZ_COLUMNS " " KEYWARD_AUTHZ_JOINS "WHERE z.id = ?1 AND a.id = ?2";
  t[kAuthzByNumber] = "SELECT " KEYWARD_AUTHZ_COLUMNS " " KEYWARD_AUTHZ_JOINS "WHERE z.n = ?1";
  t[kAuthzSetStatus] = "UPDATE authorizations SET status = ?2 WHERE n = ?1";
  t[kAuthzNotValidCount] =
      "SELECT count(*) FROM authorizations WHERE n >= ?1 << 6 AND n < (?1 + 1) << 6 "
      "AND (status <> 2 OR expires_at_ms <= ?2)";
  t[kAuthzEndOfOrder] =
      "UPDATE authorizations SET status = 4 WHERE n >= ?1 << 6 AND n < (?1 + 1) << 6 AND status IN "
      "(1, 2)";
  t[kAuthzDeleteOfOrder] = "DELETE FROM authorizations WHERE n >= ?1 << 6 AND n < (?1 + 1) << 6";

  t[kChallengeInsert] =
      "INSERT INTO challenges (n, id, method, status, token, validated_at_ms, error_json) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
  t[kChallengeById] =
      "SELECT c.n, c.status, z.status, z.expires_at_ms, o.status, o.expires_at_ms, z.n, o.n FROM "
      "challenges c "
      "JOIN authorizations z ON z.n = c.n >> 3 JOIN orders o ON o.n = c.n >> 9 WHERE c.id = ?1";
  t[kChallengeSet] =
      "UPDATE challenges SET status = ?2, validated_at_ms = ?3, error_json = ?4 WHERE n = ?1";
  t[kChallengesOfAuthz] =
      "SELECT id, method, status, token, validated_at_ms, error_json FROM challenges "
      "WHERE n >= ?1 << 3 AND n < (?1 + 1) << 3 ORDER BY n";
  t[kChallengesEndOfOrder] =
      "UPDATE challenges SET status = 4 WHERE n >= ?1 << 9 AND n < (?1 + 1) << 9 AND status = 2";
  t[kChallengeDeleteOfOrder] = "DELETE FROM challenges WHERE n >= ?1 << 9 AND n < (?1 + 1) << 9";

  t[kIssuerFind] = "SELECT n FROM issuers WHERE chain = ?1";
  t[kIssuerInsert] = "INSERT INTO issuers (chain) VALUES (?1)";

  t[kCertificateInsert] =
      "INSERT INTO certificates (id, account_n, ticket, serial, not_after_ms, leaf, issuer_n) "
      "VALUES (?1, (SELECT n FROM accounts WHERE id = ?2), ?3, ?4, ?5, ?6, ?7)";
  t[kCertificateOwned] =
      "SELECT c.id, a.id, c.ticket, c.serial, c.not_after_ms, c.leaf, i.chain FROM certificates c "
      "JOIN accounts a ON a.n = c.account_n JOIN issuers i ON i.n = c.issuer_n WHERE c.id = ?1 AND "
      "a.id = ?2";
  t[kCertificatesAfter] =
      "SELECT n, not_after_ms FROM certificates WHERE n > ?1 ORDER BY n LIMIT ?2";
  t[kCertificateDelete] = "DELETE FROM certificates WHERE n = ?1";

  t[kWorkChallenges] =
      "SELECT c.id, z.id, a.id FROM challenges c JOIN authorizations z ON z.n = c.n >> 3 "
      "JOIN orders o ON o.n = c.n >> 9 JOIN accounts a ON a.n = o.account_n "
      "WHERE c.status = 2 AND z.status = 1 AND z.expires_at_ms > ?1 AND o.status = 1 AND "
      "o.expires_at_ms > ?1 "
      "LIMIT 256";
  t[kWorkOrders] =
      "SELECT o.ticket, a.id FROM orders o JOIN accounts a ON a.n = o.account_n "
      "WHERE o.status = 3 LIMIT 256";
  return t;
}();

#undef KEYWARD_ORDER_COLUMNS
#undef KEYWARD_AUTHZ_COLUMNS
#undef KEYWARD_AUTHZ_JOINS

}  // namespace keyward::store
