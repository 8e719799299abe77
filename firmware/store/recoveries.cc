// Owns the operations on account recoveries and on notices that wait for a relay. Must not know what
// proves an account, nor how mail is sent.
#include "firmware/store/internal.h"

namespace keyward::store {

// Kept for accounts that do not exist just the same, so that nobody can tell: nothing is looked up.
Answer<wire::RecoveryPutReply> Store::recovery_put(const wire::RecoveryPut& request) {
  const auto& recovery = request.recovery;
  if (recovery.id.empty() || recovery.account_id.empty() || recovery.jwk.empty())
    return malformed("a recovery needs an id, an account and a key");
  if (recovery.status != RecoveryStatus::kPending) return malformed("a new recovery is pending");
  const auto now_ms = clock_.utc_ms();
  if (recovery.expires_at_ms <= now_ms) return malformed("the recovery's time has passed");
  // DURABLE: a code goes out for it.
  return write(Promise::kDurable, [&](Connection& db) -> Answer<wire::RecoveryPutReply> {
    if (filling_)
      return refuse(wire::FailureKind::kExhausted, "store-full", "no room for a recovery");
    {
      Query open(db, kRecoveriesOpenCount, recovery.account_id, now_ms);
      STORE_CHECK(open.next());
      Query all(db, kRecoveryCount);
      STORE_CHECK(all.next());
      if (open.integer(0) >= std::int64_t{limits::kRecoveriesPerAccountMax} ||
          all.integer(0) >= options_.recoveries_max) {
        return refuse(wire::FailureKind::kExhausted, "recovery-limit",
                      "too many recoveries are under way");
      }
    }
    STORE_CHECK(Query(db, kRecoveryInsert, recovery.id, recovery.account_id, recovery.thumbprint,
                      recovery.jwk, recovery.method, recovery.status, recovery.created_at_ms,
                      recovery.expires_at_ms, recovery.ready_at_ms, recovery.code_sha256,
                      recovery.veto_sha256, recovery.error_json)
                    .finish());
    return wire::RecoveryPutReply{};
  });
}

Answer<wire::RecoveryGetReply> Store::recovery_get(const wire::RecoveryGet& request) {
  if (request.id.has_value() == request.account_id.has_value())
    return malformed("an id or an account, not both");
  const auto now_ms = clock_.utc_ms();
  return read([&](Connection& db) -> Answer<wire::RecoveryGetReply> {
    wire::RecoveryGetReply reply;
    const auto take = [&](Query query) -> Answer<wire::RecoveryGetReply> {
      while (true) {
        STORE_TRY(row, query.next());
        if (!row) return std::move(reply);
        STORE_TRY(found, read_recovery(query));
        found.status = at_time(found.status, found.expires_at_ms, now_ms);
        reply.recoveries.push_back(std::move(found));
      }
    };
    if (request.id) return take(Query(db, kRecoveryById, *request.id));
    return take(Query(db, kRecoveriesOpen, *request.account_id, now_ms,
                      std::int64_t{limits::kRecoveriesPerAccountMax}));
  });
}

Answer<wire::RecoveryUpdateReply> Store::recovery_update(const wire::RecoveryUpdate& request) {
  const bool cools = request.status == RecoveryStatus::kProcessing;
  if (cools != request.ready_at_ms.has_value())
    return malformed("a proved recovery has its time, no other edge has");
  if (request.error_json && request.status != RecoveryStatus::kInvalid)
    return malformed("only an invalid recovery has an error");
  if (!may_change(request.expected, request.status))
    return edge_refused("a recovery does not go that way");
  const auto now_ms = clock_.utc_ms();
  return write(Promise::kDurable, [&](Connection& db) -> Answer<wire::RecoveryUpdateReply> {
    wire::RecoveryRecord record;
    std::int64_t number = 0;
    {
      Query query(db, kRecoveryById, request.id);
      STORE_TRY(row, query.next());
      if (!row) return wire::RecoveryUpdateReply{};
      number = query.integer(0);
      STORE_TRY(found, read_recovery(query));
      record = std::move(found);
    }
    record.status = at_time(record.status, record.expires_at_ms, now_ms);
    if (record.status != request.expected)
      return wire::RecoveryUpdateReply{false, std::move(record)};
    record.status = request.status;
    if (request.ready_at_ms) record.ready_at_ms = *request.ready_at_ms;
    record.error_json = request.error_json;
    STORE_CHECK(
        Query(db, kRecoverySet, number, record.status, record.ready_at_ms, record.error_json)
            .finish());
    return wire::RecoveryUpdateReply{true, std::move(record)};
  });
}

Answer<wire::MailPutReply> Store::mail_put(const wire::MailPut& request) {
  const auto& mail = request.mail;
  if (mail.id.empty() || mail.to.empty()) return malformed("a notice needs an id and an address");
  return write(Promise::kDurable, [&](Connection& db) -> Answer<wire::MailPutReply> {
    {
      Query known(db, kMailById, mail.id);
      STORE_TRY(row, known.next());
      if (row) return wire::MailPutReply{};
    }
    if (filling_)
      return refuse(wire::FailureKind::kExhausted, "store-full", "no room for a notice");
    {
      Query all(db, kMailCount);
      STORE_CHECK(all.next());
      if (all.integer(0) >= options_.mails_max)
        return refuse(wire::FailureKind::kExhausted, "mail-limit", "too many notices wait");
    }
    STORE_CHECK(Query(db, kMailInsert, mail.id, mail.to, mail.subject, mail.text,
                      mail.created_at_ms, mail.due_at_ms, static_cast<std::int64_t>(mail.attempts))
                    .finish());
    return wire::MailPutReply{};
  });
}

Answer<wire::MailTakeReply> Store::mail_take(const wire::MailTake&) {
  constexpr std::int64_t kTakenMax = 16;  // what one frame holds
  return read([&](Connection& db) -> Answer<wire::MailTakeReply> {
    wire::MailTakeReply reply;
    Query query(db, kMailsDue, clock_.utc_ms(), kTakenMax);
    while (true) {
      STORE_TRY(row, query.next());
      if (!row) return reply;
      reply.mails.push_back(read_mail(query));
    }
  });
}

// NORMAL: one that a power cut brings back is sent again.
Answer<wire::MailDoneReply> Store::mail_done(const wire::MailDone& request) {
  return write(Promise::kNormal, [&](Connection& db) -> Answer<wire::MailDoneReply> {
    if (request.again_at_ms) {
      STORE_CHECK(Query(db, kMailAgain, request.id, *request.again_at_ms).finish());
    } else {
      STORE_CHECK(Query(db, kMailForget, request.id).finish());
    }
    return wire::MailDoneReply{};
  });
}

}  // namespace keyward::store
