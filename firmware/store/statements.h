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
  kRowCounts,
  kAccountInsert,
  kAccountById,
  kAccountByThumbprint,
  kAccountSetContacts,
  kAccountSetTerms,
  kAccountSetKey,
  kEarlierKeyFind,
  kEarlierKeyInsert,
  kAccountSetStatus,
  kAccountCount,
  kOrderInsert,
  kOrderByTicket,
  kOrderOwned,
  kOrderSetStatus,
  kOrderSetResult,
  kOrderSetStar,
  kOrderSetExpiry,
  kOrderAuthzIds,
  kOrderReliedIds,
  kOrderReplacing,
  kOrdersOpenCount,
  kOrdersOpenOf,
  kOrdersOfAccount,
  kOrdersAfter,
  kOrderDelete,
  kReliedInsert,
  kReliedNotValidCount,
  kReliedDeleteOfOrder,
  kOpenOrdersOn,
  kNumberMax,
  kAuthzInsert,
  kAuthzOwned,
  kAuthzByNumber,
  kAuthzSetStatus,
  kAuthzSetValid,
  kAuthzReusable,
  kAuthzFind,
  kAuthzAloneCount,
  kAuthzEndShared,
  kAuthzEndAlone,
  kAuthzNotValidCount,
  kAuthzEndOfOrder,
  kAuthzKeptOfOrder,
  kAuthzDeleteOfOrder,
  kAuthzAfter,
  kAuthzDelete,
  kChallengeInsert,
  kChallengeById,
  kChallengeSet,
  kAnswersForgetOfAuthz,
  kAnswersForgetOfOrder,
  kAnswersForgetEnded,
  kChallengesOfAuthz,
  kChallengeProved,
  kChallengesEndOfOrder,
  kChallengesEndAlone,
  kChallengeDeleteOfOrder,
  kChallengeDeleteOfAuthz,
  kIssuerFind,
  kIssuerInsert,
  kCertificateInsert,
  kCertificateOwned,
  kCertificateBySerial,
  kCertificateOfStar,
  kCertificateOfOrder,
  kCertificateMark,
  kCertificateReplaced,
  kCertificateSetReplaced,
  kCertificateFree,
  kCertificatesAfter,
  kCertificateDelete,
  kWorkChallenges,
  kWorkOrders,
  kWorkRenewals,
  kRecoveryInsert,
  kRecoveryById,
  kRecoveriesOpen,
  kRecoveriesOpenCount,
  kRecoveryCount,
  kRecoverySet,
  kRecoveriesAfter,
  kRecoveryDelete,
  kMailInsert,
  kMailById,
  kMailCount,
  kMailsDue,
  kMailAgain,
  kMailForget,
  kMailsAfter,
  kMailDelete,
  kSqlCount
};

#define KEYWARD_ORDER_COLUMNS                                                        \
  "o.n, o.ticket, a.id, o.status, o.expires_at_ms, o.certificate_id, o.error_json, " \
  "o.identifiers, o.terms, o.finalize, o.reused, o.replaces, o.certificate_get, "    \
  "o.star_next_at_ms, o.tenant"
#define KEYWARD_AUTHZ_COLUMNS                                                                \
  "z.n, z.id, a.id, o.ticket, z.identifier_type, z.identifier_value, z.wildcard, z.status, " \
  "z.expires_at_ms, z.subtree, z.tenant"
// The ticket is that of the one order it is for: kind 1 alone.
#define KEYWARD_AUTHZ_JOINS                                     \
  "FROM authorizations z JOIN accounts a ON a.n = z.account_n " \
  "LEFT JOIN orders o ON z.kind = 1 AND o.n = z.n >> 6 "
#define KEYWARD_ACCOUNT_COLUMNS                                                        \
  "n, id, thumbprint, jwk, status, contacts, terms_agreed, created_at_ms, terms_url, " \
  "binding_json, eab_kid, earlier_keys, tenant"
#define KEYWARD_CERTIFICATE_COLUMNS                                                    \
  "c.id, a.id, c.ticket, c.serial, c.not_after_ms, c.leaf, i.chain, c.revoked_at_ms, " \
  "c.revocation_reason, c.replaced_by"
#define KEYWARD_CERTIFICATE_JOINS                                  \
  "FROM certificates c JOIN accounts a ON a.n = c.account_n JOIN " \
  "issuers i ON i.n = c.issuer_n "
#define KEYWARD_RECOVERY_COLUMNS                                                       \
  "n, id, account_id, thumbprint, jwk, method, status, created_at_ms, expires_at_ms, " \
  "ready_at_ms, code_sha256, veto_sha256, error_json"

inline constexpr std::array<std::string_view, kSqlCount> kSqlTexts = [] {
  std::array<std::string_view, kSqlCount> t{};
  t[kBegin] = "BEGIN IMMEDIATE";
  t[kBeginRead] = "BEGIN";
  t[kPageCount] = "PRAGMA page_count";
  t[kFreePageCount] = "PRAGMA freelist_count";
  // Counted over an index each, never over the rows; in the order of RowFigures::kKinds.
  t[kRowCounts] =
      "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM earlier_keys), "
      "(SELECT count(*) FROM orders), (SELECT count(*) FROM authorizations), "
      "(SELECT count(*) FROM challenges), (SELECT count(*) FROM certificates), "
      "(SELECT count(*) FROM recoveries), (SELECT count(*) FROM mails)";
  t[kCommit] = "COMMIT";
  t[kRollback] = "ROLLBACK";

  t[kAccountInsert] =
      "INSERT INTO accounts (id, thumbprint, jwk, status, contacts, terms_agreed, created_at_ms, "
      "terms_url, binding_json, eab_kid, tenant) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
      "?11)";
  t[kAccountById] = "SELECT " KEYWARD_ACCOUNT_COLUMNS " FROM accounts WHERE id = ?1";
  t[kAccountByThumbprint] =
      "SELECT " KEYWARD_ACCOUNT_COLUMNS " FROM accounts WHERE thumbprint = ?1";
  t[kAccountSetContacts] = "UPDATE accounts SET contacts = ?2 WHERE n = ?1";
  t[kAccountSetTerms] = "UPDATE accounts SET terms_url = ?2, terms_agreed = 1 WHERE n = ?1";
  t[kAccountSetKey] =
      "UPDATE accounts SET thumbprint = ?2, jwk = ?3, earlier_keys = ?4 WHERE n = ?1";
  t[kEarlierKeyFind] = "SELECT account_n FROM earlier_keys WHERE thumbprint = ?1";
  t[kEarlierKeyInsert] = "INSERT INTO earlier_keys (thumbprint, account_n) VALUES (?1, ?2)";
  t[kAccountSetStatus] = "UPDATE accounts SET status = ?2 WHERE n = ?1";
  t[kAccountCount] = "SELECT count(*) FROM accounts";

  t[kOrderInsert] =
      "INSERT INTO orders (n, ticket, account_n, status, expires_at_ms, identifiers, terms, "
      "reused, "
      "replaces, certificate_get, tenant) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
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
  t[kOrderSetStar] = "UPDATE orders SET star_next_at_ms = ?2, expires_at_ms = ?3 WHERE n = ?1";
  t[kOrderSetExpiry] = "UPDATE orders SET expires_at_ms = ?2 WHERE n = ?1";
  t[kOrderReliedIds] =
      "SELECT z.id FROM relied r JOIN authorizations z ON z.n = r.authz_n WHERE r.order_n = ?1 "
      "ORDER BY r.position";
  t[kOrderReplacing] = "SELECT ticket, status, replaces FROM orders WHERE n = ?1";
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
      "AND (status IN (3, 4, 6) OR (status IN (1, 2) AND expires_at_ms > ?3)) ORDER BY n LIMIT ?4";
  t[kOrdersAfter] = "SELECT n, expires_at_ms <= ?3 FROM orders WHERE n > ?1 ORDER BY n LIMIT ?2";
  t[kOrderDelete] = "DELETE FROM orders WHERE n = ?1";

  t[kReliedInsert] = "INSERT INTO relied (order_n, position, authz_n) VALUES (?1, ?2, ?3)";
  t[kReliedNotValidCount] =
      "SELECT count(*) FROM relied r JOIN authorizations z ON z.n = r.authz_n WHERE r.order_n = ?1 "
      "AND (z.status <> 2 OR z.expires_at_ms <= ?2)";
  t[kReliedDeleteOfOrder] = "DELETE FROM relied WHERE order_n = ?1";
  t[kOpenOrdersOn] =
      "SELECT n FROM orders WHERE n = ?1 >> 6 AND status IN (1, 2, 3) UNION ALL "
      "SELECT o.n FROM relied r JOIN orders o ON o.n = r.order_n WHERE r.authz_n = ?1 AND "
      "o.status IN (1, 2, 3)";
  t[kNumberMax] =
      "SELECT max(coalesce((SELECT max(n) FROM orders), 0), "
      "coalesce((SELECT max(n) FROM authorizations) >> 6, 0))";

  t[kAuthzInsert] =
      "INSERT INTO authorizations (n, id, identifier_type, identifier_value, wildcard, status, "
      "expires_at_ms, account_n, kind, subtree, tenant) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
  t[kAuthzOwned] =
      "SELECT " KEYWARD_AUTHZ_COLUMNS " " KEYWARD_AUTHZ_JOINS "WHERE z.id = ?1 AND a.id = ?2";
  t[kAuthzByNumber] = "SELECT " KEYWARD_AUTHZ_COLUMNS " " KEYWARD_AUTHZ_JOINS "WHERE z.n = ?1";
  t[kAuthzSetStatus] = "UPDATE authorizations SET status = ?2 WHERE n = ?1";
  t[kAuthzSetValid] =
      "UPDATE authorizations SET status = 2, expires_at_ms = coalesce(?2, expires_at_ms) WHERE n = "
      "?1";
  t[kAuthzReusable] =
      "SELECT z.n, z.expires_at_ms FROM authorizations z WHERE z.id = ?1 AND z.account_n = ?2 "
      "AND z.kind <> 1 AND z.status = 2 AND z.expires_at_ms > ?3 AND z.identifier_type IN (1, 2)";
  // Of names and addresses; ?5: one of a name above, which covers what is below it.
  t[kAuthzFind] =
      "SELECT z.n, z.expires_at_ms FROM authorizations z INDEXED BY authz_reusable "
      "WHERE z.account_n = (SELECT n FROM accounts WHERE id = ?1 AND status = 1) "
      "AND z.identifier_type = ?2 AND z.identifier_value = ?3 AND z.kind <> 1 AND z.status = 2 "
      "AND z.wildcard = ?4 AND (?5 = 0 OR z.subtree = 1) AND z.expires_at_ms > ?6 "
      "ORDER BY z.expires_at_ms DESC LIMIT 1";
  t[kAuthzAloneCount] =
      "SELECT count(*) FROM authorizations INDEXED BY authz_alone WHERE account_n = ?1 AND kind = "
      "3 AND expires_at_ms > ?2";
  t[kAuthzEndShared] =
      "UPDATE authorizations SET status = 4 WHERE account_n = ?1 AND kind <> 1 AND status = 2";
  t[kAuthzEndAlone] =
      "UPDATE authorizations SET status = 4 WHERE account_n = ?1 AND kind = 3 AND status = 1";
  t[kAuthzNotValidCount] =
      "SELECT count(*) FROM authorizations WHERE n >= ?1 << 6 AND n < (?1 + 1) << 6 "
      "AND (status <> 2 OR expires_at_ms <= ?2)";
  t[kAuthzEndOfOrder] =
      "UPDATE authorizations SET status = 4 WHERE n >= ?1 << 6 AND n < (?1 + 1) << 6 AND status IN "
      "(1, 2)";
  // What outlives its order: good for further ones, or relied on by one that is still there.
  t[kAuthzKeptOfOrder] =
      "SELECT count(*) FROM authorizations z WHERE z.n >= ?1 << 6 AND z.n < (?1 + 1) << 6 AND "
      "((z.kind <> 1 AND z.status = 2 AND z.expires_at_ms > ?2) OR EXISTS (SELECT 1 FROM relied r "
      "WHERE r.authz_n = z.n))";
  t[kAuthzAfter] =
      "SELECT z.n, z.expires_at_ms <= ?3 AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.n = z.n >> "
      "6) AND NOT EXISTS (SELECT 1 FROM relied r WHERE r.authz_n = z.n) FROM authorizations z "
      "WHERE "
      "z.n > ?1 ORDER BY z.n LIMIT ?2";
  t[kAuthzDelete] = "DELETE FROM authorizations WHERE n = ?1";
  t[kAuthzDeleteOfOrder] = "DELETE FROM authorizations WHERE n >= ?1 << 6 AND n < (?1 + 1) << 6";

  t[kChallengeInsert] =
      "INSERT INTO challenges (n, id, method, status, token, validated_at_ms, error_json, "
      "data_json) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
  t[kChallengeById] =
      "SELECT c.n, c.status, z.n, z.kind, z.status, z.expires_at_ms, a.status, o.n, o.status, "
      "o.expires_at_ms, o.reused FROM challenges c JOIN authorizations z ON z.n = c.n >> 3 "
      "JOIN accounts a ON a.n = z.account_n LEFT JOIN orders o ON o.n = c.n >> 9 WHERE c.id = ?1";
  t[kChallengeSet] =
      "UPDATE challenges SET status = ?2, validated_at_ms = ?3, error_json = ?4, answer = ?5 WHERE "
      "n "
      "= ?1";
  t[kAnswersForgetOfAuthz] =
      "UPDATE challenges SET answer = NULL WHERE n >= ?1 << 3 AND n < (?1 + 1) << 3 AND answer IS "
      "NOT NULL";
  t[kAnswersForgetOfOrder] =
      "UPDATE challenges SET answer = NULL WHERE n >= ?1 << 9 AND n < (?1 + 1) << 9 AND answer IS "
      "NOT NULL";
  // Nobody waits for them any more: decided, or of an authorization that has ended or expired.
  t[kAnswersForgetEnded] =
      "UPDATE challenges SET answer = NULL WHERE n IN (SELECT c.n FROM challenges c INDEXED BY "
      "challenges_answers JOIN authorizations z ON z.n = c.n >> 3 WHERE c.answer IS NOT NULL AND "
      "(c.status <> 2 OR z.status <> 1 OR z.expires_at_ms <= ?1) LIMIT ?2)";
  t[kChallengesOfAuthz] =
      "SELECT id, method, status, token, validated_at_ms, error_json, data_json, answer FROM "
      "challenges "
      "WHERE n >= ?1 << 3 AND n < (?1 + 1) << 3 ORDER BY n";
  t[kChallengeProved] =
      "SELECT id, method, status, token, validated_at_ms, error_json, data_json, NULL FROM "
      "challenges "
      "WHERE n >= ?1 << 3 AND n < (?1 + 1) << 3 AND status = 3 ORDER BY n";
  t[kChallengesEndOfOrder] =
      "UPDATE challenges SET status = 4, answer = NULL WHERE n >= ?1 << 9 AND n < (?1 + 1) << 9 "
      "AND "
      "status = 2";
  t[kChallengesEndAlone] =
      "UPDATE challenges SET status = 4, answer = NULL WHERE status = 2 AND n >> 3 IN (SELECT n "
      "FROM "
      "authorizations WHERE account_n = ?1 AND kind = 3)";
  t[kChallengeDeleteOfAuthz] = "DELETE FROM challenges WHERE n >= ?1 << 3 AND n < (?1 + 1) << 3";
  t[kChallengeDeleteOfOrder] = "DELETE FROM challenges WHERE n >= ?1 << 9 AND n < (?1 + 1) << 9";

  t[kIssuerFind] = "SELECT n FROM issuers WHERE chain = ?1";
  t[kIssuerInsert] = "INSERT INTO issuers (chain) VALUES (?1)";

  t[kCertificateInsert] =
      "INSERT INTO certificates (id, account_n, ticket, serial, not_after_ms, leaf, issuer_n) "
      "VALUES (?1, (SELECT n FROM accounts WHERE id = ?2), ?3, ?4, ?5, ?6, ?7)";
  t[kCertificateOwned] = "SELECT " KEYWARD_CERTIFICATE_COLUMNS " " KEYWARD_CERTIFICATE_JOINS
                         "WHERE c.id = ?1 AND a.id = ?2";
  // The first that was stored: a later row with its serial takes nothing from it.
  t[kCertificateBySerial] = "SELECT " KEYWARD_CERTIFICATE_COLUMNS " " KEYWARD_CERTIFICATE_JOINS
                            "WHERE c.serial = ?1 ORDER BY c.n LIMIT 1";
  t[kCertificateOfStar] = "SELECT " KEYWARD_CERTIFICATE_COLUMNS " " KEYWARD_CERTIFICATE_JOINS
                          "WHERE c.id = ?1 AND c.ticket = ?2";
  t[kCertificateOfOrder] = "SELECT n FROM certificates WHERE serial = ?1 AND ticket = ?2";
  t[kCertificateMark] =
      "UPDATE certificates SET revoked_at_ms = ?2, revocation_reason = ?3 WHERE serial = ?1 AND "
      "revoked_at_ms IS NULL";
  t[kCertificateReplaced] =
      "SELECT c.n, c.replaced_by, o.status, o.expires_at_ms FROM certificates c LEFT JOIN orders o "
      "ON o.ticket = c.replaced_by WHERE c.serial = ?1 ORDER BY c.n LIMIT 1";
  t[kCertificateSetReplaced] = "UPDATE certificates SET replaced_by = ?2 WHERE n = ?1";
  t[kCertificateFree] =
      "UPDATE certificates SET replaced_by = NULL WHERE serial = ?1 AND replaced_by = ?2";
  t[kCertificatesAfter] =
      "SELECT n, not_after_ms <= ?3 FROM certificates WHERE n > ?1 ORDER BY n LIMIT ?2";
  t[kCertificateDelete] = "DELETE FROM certificates WHERE n = ?1";

  t[kWorkChallenges] =
      "SELECT c.id, z.id, a.id FROM challenges c JOIN authorizations z ON z.n = c.n >> 3 "
      "JOIN accounts a ON a.n = z.account_n LEFT JOIN orders o ON o.n = c.n >> 9 "
      "WHERE c.status = 2 AND z.status = 1 AND z.expires_at_ms > ?1 AND a.status = 1 AND "
      "(z.kind = 3 OR (o.status = 1 AND o.expires_at_ms > ?1)) LIMIT 256";
  t[kWorkOrders] =
      "SELECT o.ticket, a.id FROM orders o JOIN accounts a ON a.n = o.account_n "
      "WHERE o.status = 3 LIMIT 256";
  t[kWorkRenewals] =
      "SELECT o.ticket, a.id FROM orders o INDEXED BY orders_renewing JOIN accounts a ON a.n = "
      "o.account_n WHERE o.star_next_at_ms <= ?1 AND o.star_next_at_ms IS NOT NULL AND o.status = "
      "4 "
      "AND o.expires_at_ms > ?1 AND a.status = 1 ORDER BY o.star_next_at_ms LIMIT 256";

  t[kRecoveryInsert] =
      "INSERT INTO recoveries (id, account_id, thumbprint, jwk, method, status, created_at_ms, "
      "expires_at_ms, ready_at_ms, code_sha256, veto_sha256, error_json) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
  t[kRecoveryById] = "SELECT " KEYWARD_RECOVERY_COLUMNS " FROM recoveries WHERE id = ?1";
  t[kRecoveriesOpen] = "SELECT " KEYWARD_RECOVERY_COLUMNS
                       " FROM recoveries WHERE account_id = ?1 AND status IN (1, 2) AND "
                       "expires_at_ms > ?2 ORDER BY n LIMIT ?3";
  t[kRecoveriesOpenCount] =
      "SELECT count(*) FROM recoveries WHERE account_id = ?1 AND status IN (1, 2) AND "
      "expires_at_ms > ?2";
  t[kRecoveryCount] = "SELECT count(*) FROM recoveries";
  t[kRecoverySet] =
      "UPDATE recoveries SET status = ?2, ready_at_ms = ?3, error_json = ?4 WHERE n = ?1";
  t[kRecoveriesAfter] =
      "SELECT n, expires_at_ms <= ?3 FROM recoveries WHERE n > ?1 ORDER BY n LIMIT ?2";
  t[kRecoveryDelete] = "DELETE FROM recoveries WHERE n = ?1";

  t[kMailInsert] =
      "INSERT INTO mails (id, address, subject, text, created_at_ms, due_at_ms, attempts) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
  t[kMailById] = "SELECT n FROM mails WHERE id = ?1";
  t[kMailCount] = "SELECT count(*) FROM mails";
  t[kMailsDue] =
      "SELECT id, address, subject, text, created_at_ms, due_at_ms, attempts FROM mails WHERE "
      "due_at_ms <= ?1 ORDER BY due_at_ms, n LIMIT ?2";
  t[kMailAgain] = "UPDATE mails SET due_at_ms = ?2, attempts = attempts + 1 WHERE id = ?1";
  t[kMailForget] = "DELETE FROM mails WHERE id = ?1";
  t[kMailsAfter] = "SELECT n, created_at_ms <= ?3 FROM mails WHERE n > ?1 ORDER BY n LIMIT ?2";
  t[kMailDelete] = "DELETE FROM mails WHERE n = ?1";
  return t;
}();

// For those who read a database offline.
inline constexpr std::string_view kAccountColumns = KEYWARD_ACCOUNT_COLUMNS,
                                  kOrderColumns = KEYWARD_ORDER_COLUMNS;

#undef KEYWARD_ORDER_COLUMNS
#undef KEYWARD_AUTHZ_COLUMNS
#undef KEYWARD_AUTHZ_JOINS
#undef KEYWARD_ACCOUNT_COLUMNS
#undef KEYWARD_CERTIFICATE_COLUMNS
#undef KEYWARD_CERTIFICATE_JOINS
#undef KEYWARD_RECOVERY_COLUMNS

}  // namespace keyward::store
