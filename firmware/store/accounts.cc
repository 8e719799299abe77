// Owns the operations on accounts and certificates. Must not know orders beyond ending them.
#include "firmware/store/internal.h"

namespace keyward::store {

Answer<wire::AccountPutReply> Store::account_put(const wire::AccountPut& request) {
  const auto& account = request.account;
  if (account.id.empty() || account.jwk.empty())
    return malformed("an account needs an id and a key");
  if (account.status != AccountStatus::kValid) return malformed("a new account is valid");
  return write(Promise::kDurable, [&](Connection& db) -> Answer<wire::AccountPutReply> {
    {
      Query known(db, kAccountByThumbprint, account.thumbprint);
      STORE_TRY(row, known.next());
      if (row) {
        STORE_TRY(found, read_account(known));
        return wire::AccountPutReply{std::move(found.record), false};
      }
    }
    if (filling_)
      return refuse(wire::FailureKind::kExhausted, "store-full", "no room for another account");
    if (accounts_ >= options_.accounts_max) {
      return refuse(wire::FailureKind::kExhausted, "account-limit",
                    "the appliance keeps no more accounts");
    }
    STORE_CHECK(Query(db, kAccountInsert, account.id, account.thumbprint, account.jwk,
                      account.status, pack_contacts(account.contacts),
                      std::int64_t{account.terms_agreed}, account.created_at_ms)
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

// Ends what the account's key had begun (RFC 8555 §7.3.6). Orders that ended before stay as they
// are.
Answer<bool> Store::end_open_orders(Connection& db, std::int64_t account_number) {
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
    if (request.contacts) {
      if (account.record.status != AccountStatus::kValid) {
        return refuse(wire::FailureKind::kRefused, "account-not-valid",
                      "the account was deactivated");
      }
      STORE_CHECK(Query(db, kAccountSetContacts, account.number, pack_contacts(*request.contacts))
                      .finish());
      account.record.contacts = *request.contacts;
    }
    if (request.status && *request.status != account.record.status) {
      if (!may_change(account.record.status, *request.status)) {
        return refuse(wire::FailureKind::kRefused, "edge-not-allowed",
                      "an account does not come back");
      }
      STORE_CHECK(Query(db, kAccountSetStatus, account.number, *request.status).finish());
      STORE_CHECK(end_open_orders(db, account.number));
      account.record.status = *request.status;
    }
    return wire::AccountUpdateReply{std::move(account.record)};
  });
}

Answer<std::int64_t> Store::issuer_number(Connection& db, const std::vector<Bytes>& chain) {
  Bytes packed = pack_issuers(chain);
  if (last_issuers_number_ != 0 && packed == last_issuers_) return last_issuers_number_;
  std::int64_t number = 0;
  {
    Query query(db, kIssuerFind, packed);
    STORE_TRY(row, query.next());
    if (row) number = query.integer(0);
  }
  if (number == 0) {
    STORE_CHECK(Query(db, kIssuerInsert, packed).finish());
    return db.last_insert_rowid();  // remembered next time: this transaction may still be undone
  }
  last_issuers_ = std::move(packed);
  last_issuers_number_ = number;
  return number;
}

Answer<bool> Store::put_certificate(Connection& db, const wire::CertificateRecord& certificate,
                                    const wire::OrderRecord& order) {
  std::size_t chain_bytes = 0;
  for (const auto& one : certificate.chain) chain_bytes += one.size();
  if (certificate.id.empty() || certificate.chain.empty() || certificate.serial.empty()) {
    return malformed("a certificate needs an id, a serial and a chain");
  }
  if (chain_bytes > limits::kStoredChainBytesMax) return malformed("the chain is too large");
  if (certificate.account_id != order.account_id || certificate.ticket != order.ticket) {
    return malformed("the certificate is another order's");
  }
  STORE_TRY(issuer, issuer_number(db, certificate.chain));
  STORE_CHECK(Query(db, kCertificateInsert, certificate.id, certificate.account_id,
                    certificate.ticket, certificate.serial, certificate.not_after_ms,
                    certificate.chain.front(), issuer)
                  .finish());
  return true;
}

Answer<wire::CertificateGetReply> Store::certificate_get(const wire::CertificateGet& request) {
  return read([&](Connection& db) -> Answer<wire::CertificateGetReply> {
    Query query(db, kCertificateOwned, request.id, request.account_id);
    STORE_TRY(row, query.next());
    if (!row) return wire::CertificateGetReply{};
    STORE_TRY(found, read_certificate(query));
    return wire::CertificateGetReply{std::move(found)};
  });
}

}  // namespace keyward::store
