// Owns the operations on accounts and their keys. Must not know orders beyond ending them.
#include "firmware/store/internal.h"

namespace keyward::store {

// One key, one account: a key that an account had before makes no other (docs/adr/0004-storage.md).
Answer<bool> Store::check_key_unused(Connection& db, const Digest256& thumbprint) {
  Query query(db, kEarlierKeyFind, thumbprint);
  STORE_TRY(row, query.next());
  if (!row) return true;
  return refuse(wire::FailureKind::kRefused, "key-was-used",
                "an account had this key before and has another now");
}

Answer<bool> Store::check_room_for_account(Connection& db, const Digest256& thumbprint) {
  STORE_CHECK(check_key_unused(db, thumbprint));
  if (filling_)
    return refuse(wire::FailureKind::kExhausted, "store-full", "no room for another account");
  if (accounts_ < options_.accounts_max) return true;
  return refuse(wire::FailureKind::kExhausted, "account-limit",
                "the appliance keeps no more accounts");
}

Answer<wire::AccountPutReply> Store::account_put(const wire::AccountPut& request) {
  const auto& account = request.account;
  if (account.id.empty() || account.jwk.empty())
    return malformed("an account needs an id and a key");
  if (account.status != AccountStatus::kValid) return malformed("a new account is valid");
  if (!account.earlier_keys.empty()) return malformed("a new account had no key before");
  return write(Promise::kDurable, [&](Connection& db) -> Answer<wire::AccountPutReply> {
    {
      Query known(db, kAccountByThumbprint, account.thumbprint);
      STORE_TRY(row, known.next());
      if (row) {
        STORE_TRY(found, read_account(known));
        return wire::AccountPutReply{std::move(found.record), false};
      }
    }
    STORE_CHECK(check_room_for_account(db, account.thumbprint));
    STORE_CHECK(Query(db, kAccountInsert, account.id, account.thumbprint, account.jwk,
                      account.status, pack_contacts(account.contacts),
                      std::int64_t{account.terms_agreed}, account.created_at_ms, account.terms_url,
                      account.binding_json, account.eab_kid, account.tenant)
                    .finish());
    ++accounts_;  // one too many if the commit fails: the limit is then reached one early
    return wire::AccountPutReply{account, true};
  });
}

Answer<wire::AccountGetReply> Store::account_get(const wire::AccountGet& request) {
  if (request.id.has_value() == request.thumbprint.has_value())
    return malformed("an id or a thumbprint, not both");
  return read([&](Connection& db) -> Answer<wire::AccountGetReply> {
    const auto take = [&](Query& query) -> Answer<wire::AccountGetReply> {
      STORE_TRY(row, query.next());
      if (!row) return wire::AccountGetReply{};
      STORE_TRY(found, read_account(query));
      return wire::AccountGetReply{std::move(found.record)};
    };
    if (request.id) {
      Query query(db, kAccountById, *request.id);
      return take(query);
    }
    Query query(db, kAccountByThumbprint, *request.thumbprint);
    return take(query);
  });
}

Answer<std::int64_t> Store::valid_account(Connection& db, const std::string& id) {
  Query query(db, kAccountById, id);
  STORE_TRY(row, query.next());
  if (!row) return refuse(wire::FailureKind::kRefused, "account-unknown", "no such account");
  if (query.integer(4) != static_cast<std::int64_t>(AccountStatus::kValid)) {
    return refuse(wire::FailureKind::kRefused, "account-not-valid",
                  "the account was deactivated or revoked");
  }
  return query.integer(0);
}

// Ends what the account's key had begun (RFC 8555 §7.3.6), and what further orders could have relied
// on. Orders that ended before stay as they are, with the authorizations that were theirs alone.
Answer<bool> Store::end_work(Connection& db, std::int64_t account_number) {
  std::vector<std::int64_t> numbers;
  {
    Query open(db, kOrdersOpenOf, account_number);
    while (true) {
      STORE_TRY(row, open.next());
      if (!row) break;
      numbers.push_back(open.integer(0));
    }
  }
  for (const auto number : numbers) {
    STORE_CHECK(Query(db, kChallengesEndOfOrder, number).finish());
    STORE_CHECK(Query(db, kAuthzEndOfOrder, number).finish());
    STORE_CHECK(
        Query(db, kOrderSetStatus, number, OrderStatus::kInvalid, std::optional<std::string>())
            .finish());
  }
  STORE_CHECK(Query(db, kChallengesEndAlone, account_number).finish());
  STORE_CHECK(Query(db, kAuthzEndAlone, account_number).finish());
  STORE_CHECK(Query(db, kAuthzEndShared, account_number).finish());
  return true;
}

Answer<wire::AccountUpdateReply> Store::account_update(const wire::AccountUpdate& request) {
  return write(Promise::kDurable, [&](Connection& db) -> Answer<wire::AccountUpdateReply> {
    AccountRow account;
    {
      Query query(db, kAccountById, request.id);
      STORE_TRY(row, query.next());
      if (!row) return wire::AccountUpdateReply{};
      STORE_TRY(found, read_account(query));
      account = std::move(found);
    }
    auto& record = account.record;
    if ((request.contacts || request.terms_url) && record.status != AccountStatus::kValid) {
      return refuse(wire::FailureKind::kRefused, "account-not-valid",
                    "the account was deactivated or revoked");
    }
    if (request.contacts) {
      STORE_CHECK(Query(db, kAccountSetContacts, account.number, pack_contacts(*request.contacts))
                      .finish());
      record.contacts = *request.contacts;
    }
    if (request.terms_url) {
      STORE_CHECK(Query(db, kAccountSetTerms, account.number, *request.terms_url).finish());
      record.terms_url = request.terms_url;
      record.terms_agreed = true;
    }
    if (request.status && *request.status != record.status) {
      if (!may_change(record.status, *request.status)) {
        return refuse(wire::FailureKind::kRefused, "edge-not-allowed",
                      "an account does not come back");
      }
      STORE_CHECK(Query(db, kAccountSetStatus, account.number, *request.status).finish());
      STORE_CHECK(end_work(db, account.number));
      record.status = *request.status;
    }
    return wire::AccountUpdateReply{std::move(record)};
  });
}

Answer<bool> Store::change_key(Connection& db, std::int64_t number, wire::AccountRecord& account,
                               const wire::AccountRekey& request) {
  STORE_CHECK(check_key_unused(db, request.thumbprint));
  if (account.earlier_keys.size() >= limits::kEarlierKeysMax) {
    return refuse(wire::FailureKind::kExhausted, "key-history-full",
                  "the account has changed its key as often as it may");
  }
  STORE_CHECK(Query(db, kEarlierKeyInsert, account.thumbprint, number).finish());
  account.earlier_keys.push_back({account.thumbprint});
  account.thumbprint = request.thumbprint;
  account.jwk = request.jwk;
  STORE_CHECK(Query(db, kAccountSetKey, number, account.thumbprint, account.jwk,
                    pack_earlier_keys(account.earlier_keys))
                  .finish());
  if (request.end_orders) STORE_CHECK(end_work(db, number));
  return true;
}

Answer<wire::AccountRekeyReply> Store::account_rekey(const wire::AccountRekey& request) {
  if (request.jwk.empty()) return malformed("a key change needs a key");
  return write(Promise::kDurable, [&](Connection& db) -> Answer<wire::AccountRekeyReply> {
    AccountRow account;
    {
      Query query(db, kAccountById, request.id);
      STORE_TRY(row, query.next());
      if (!row) return wire::AccountRekeyReply{};
      STORE_TRY(found, read_account(query));
      account = std::move(found);
    }
    if (account.record.status != AccountStatus::kValid) {
      return refuse(wire::FailureKind::kRefused, "account-not-valid",
                    "the account was deactivated or revoked");
    }
    {
      Query holder(db, kAccountByThumbprint, request.thumbprint);
      STORE_TRY(row, holder.next());
      if (row) return wire::AccountRekeyReply{false, holder.text(1), std::move(account.record)};
    }
    if (account.record.thumbprint != request.expected)
      return wire::AccountRekeyReply{false, std::nullopt, std::move(account.record)};
    STORE_CHECK(change_key(db, account.number, account.record, request));
    return wire::AccountRekeyReply{true, std::nullopt, std::move(account.record)};
  });
}

}  // namespace keyward::store
