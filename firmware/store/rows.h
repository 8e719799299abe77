// Owns the step from a row to a record and back. Must not know transactions or policy.
// Errors: kCorrupt (a row that no version of this program wrote). Threads: with their connection.
#pragma once

#include "firmware/store/sqlite.h"
#include "firmware/wire/messages/records.h"

namespace keyward::store {

struct AccountRow {
  std::int64_t number = 0;
  wire::AccountRecord record;
};
struct OrderRow {
  std::int64_t number = 0;
  std::int64_t reused = 0;   // authorizations that were not begun with it
  wire::OrderRecord record;  // status as stored, not yet as of now
};

// Each reads the row the query stands on; the columns are those of statements.h.
Result<AccountRow> read_account(const Query& query);
Result<OrderRow> read_order(const Query& query);
Result<wire::AuthzRecord> read_authz(const Query& query);  // without challenges
Result<wire::ChallengeRecord> read_challenge(const Query& query, const std::string& authz_id);
Result<wire::CertificateRecord> read_certificate(const Query& query);
Result<wire::RecoveryRecord> read_recovery(const Query& query);
wire::MailRecord read_mail(const Query& query);

Bytes pack_contacts(const std::vector<std::string>& contacts);
Bytes pack_identifiers(const std::vector<wire::Identifier>& identifiers);
Bytes pack_earlier_keys(const std::vector<wire::EarlierKey>& keys);
Bytes pack_issuers(const std::vector<Bytes>& chain);  // all but the leaf

}  // namespace keyward::store
