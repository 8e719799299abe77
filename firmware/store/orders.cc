// Owns the operations on orders, authorizations and challenges. Must not know how anything is
// proved.
#include <charconv>

#include "firmware/store/internal.h"
#include "firmware/store/schema.h"

namespace keyward::store {
namespace {

constexpr std::size_t kChallengesPerAuthzMax = 1u << kChallengeBits;

// Nothing is inferred: acme says what it stores, and the store refuses what contradicts itself.
const char* fault_of(const wire::OrderPut& request) {
  const auto& order = request.order;
  if (order.ticket.empty() || request.authorizations.empty())
    return "an order needs a ticket and authorizations";
  if (order.error_json || order.finalize || order.certificate_id)
    return "a new order has no result";
  bool all_valid = true;
  for (const auto& authz : request.authorizations) {
    if (authz.id.empty() || authz.challenges.empty())
      return "an authorization needs an id and challenges";
    if (authz.account_id != order.account_id || authz.ticket != order.ticket)
      return "an authorization is another order's";
    if (authz.status != AuthzStatus::kPending && authz.status != AuthzStatus::kValid)
      return "a new authorization is pending or valid";
    if (authz.challenges.size() > kChallengesPerAuthzMax) return "too many challenges";
    all_valid = all_valid && authz.status == AuthzStatus::kValid;
    for (const auto& challenge : authz.challenges) {
      if (challenge.id.empty() || challenge.token.empty())
        return "a challenge needs an id and a token";
      if (challenge.authz_id != authz.id) return "a challenge is another authorization's";
    }
  }
  const auto should_be = all_valid ? OrderStatus::kReady : OrderStatus::kPending;
  if (order.status != should_be) return "an order is ready when all its authorizations are valid";
  return nullptr;
}

tl::unexpected<wire::Failure> not_an_order_edge() {
  return refuse(wire::FailureKind::kRefused, "edge-not-allowed", "an order does not go that way");
}

std::size_t bytes_of(const wire::ClientJws& jws) {
  return jws.protected_b64.size() + jws.payload_b64.size() + jws.signature.size();
}

}  // namespace

Answer<bool> Store::put_authorizations(Connection& db, std::int64_t order_number,
                                       const wire::OrderPut& request) {
  std::int64_t authz_number = order_number << kAuthzBits;
  for (const auto& authz : request.authorizations) {
    STORE_CHECK(Query(db, kAuthzInsert, authz_number, authz.id, authz.identifier.type,
                      authz.identifier.value, std::int64_t{authz.wildcard}, authz.status,
                      authz.expires_at_ms)
                    .finish());
    std::int64_t challenge_number = authz_number << kChallengeBits;
    for (const auto& challenge : authz.challenges) {
      STORE_CHECK(Query(db, kChallengeInsert, challenge_number, challenge.id, challenge.method,
                        challenge.status, challenge.token, challenge.validated_at_ms,
                        challenge.error_json)
                      .finish());
      ++challenge_number;
    }
    ++authz_number;
  }
  return true;
}

Answer<wire::OrderPutReply> Store::order_put(const wire::OrderPut& request) {
  if (const char* fault = fault_of(request)) return malformed(fault);
  const auto now_ms = clock_.utc_ms();
  if (request.order.expires_at_ms <= now_ms) return malformed("the order's time has passed");
  // NORMAL: an order that a power cut takes costs the client one request, and no promise.
  return write(Promise::kNormal, [&](Connection& db) -> Answer<wire::OrderPutReply> {
    const auto& order = request.order;
    std::int64_t account_number = 0;
    {
      Query query(db, kAccountById, order.account_id);
      STORE_TRY(row, query.next());
      if (!row) return refuse(wire::FailureKind::kRefused, "account-unknown", "no such account");
      STORE_TRY(account, read_account(query));
      if (account.record.status != AccountStatus::kValid) {
        return refuse(wire::FailureKind::kRefused, "account-not-valid",
                      "the account was deactivated");
      }
      account_number = account.number;
    }
    if (filling_)
      return refuse(wire::FailureKind::kExhausted, "store-full", "no room for another order");
    {
      Query open(db, kOrdersOpenCount, account_number, now_ms);
      STORE_CHECK(open.next());
      if (open.integer(0) >= options_.open_orders_per_account_max) {
        return refuse(wire::FailureKind::kExhausted, "order-limit",
                      "the account has too many open orders");
      }
    }
    STORE_CHECK(Query(db, kOrderInsert, order.ticket, account_number, order.status,
                      order.expires_at_ms, pack_identifiers(order.identifiers), order.terms)
                    .finish());
    STORE_CHECK(put_authorizations(db, db.last_insert_rowid(), request));
    return wire::OrderPutReply{};
  });
}

Answer<wire::OrderGetReply> Store::order_get(const wire::OrderGet& request) {
  return read([&](Connection& db) -> Answer<wire::OrderGetReply> {
    wire::OrderGetReply reply;
    std::int64_t number = 0;
    {
      Query query(db, kOrderOwned, request.ticket, request.account_id);
      STORE_TRY(row, query.next());
      if (!row) return reply;
      STORE_TRY(found, read_order(query));
      number = found.number;
      found.record.status =
          at_time(found.record.status, found.record.expires_at_ms, clock_.utc_ms());
      reply.order = std::move(found.record);
    }
    Query ids(db, kOrderAuthzIds, number);
    while (true) {
      STORE_TRY(row, ids.next());
      if (!row) return reply;
      reply.authz_ids.push_back(ids.text(0));
    }
  });
}

// Oldest first, a page at a time; the cursor is the number of the last order shown, meaningless
// without the account that owns it.
Answer<wire::OrderListReply> Store::order_list(const wire::OrderList& request) {
  std::int64_t after = 0;
  if (request.cursor) {
    const char* end = request.cursor->data() + request.cursor->size();
    const auto parsed = std::from_chars(request.cursor->data(), end, after);
    if (parsed.ec != std::errc() || parsed.ptr != end || after < 0)
      return malformed("the cursor is not one of ours");
  }
  const auto now_ms = clock_.utc_ms();
  return read([&](Connection& db) -> Answer<wire::OrderListReply> {
    wire::OrderListReply reply;
    std::int64_t last = 0;
    Query query(db, kOrdersOfAccount, request.account_id, after, now_ms,
                std::int64_t{limits::kOrdersPageMax} + 1);
    while (true) {
      STORE_TRY(row, query.next());
      if (!row) return reply;
      if (reply.tickets.size() == limits::kOrdersPageMax) {
        reply.next = std::to_string(last);
        return reply;
      }
      last = query.integer(0);
      reply.tickets.push_back(query.text(1));
    }
  });
}

Answer<wire::OrderUpdateReply> Store::order_update(const wire::OrderUpdate& request) {
  const bool issued = request.status == OrderStatus::kValid;
  if (issued != request.certificate.has_value())
    return malformed("a valid order has a certificate, no other has");
  const bool waits = request.status == OrderStatus::kProcessing;
  if (waits != request.finalize.has_value())
    return malformed("a processing order keeps its finalize, no other does");
  if (waits && bytes_of(*request.finalize) > limits::kStoredFinalizeBytesMax)
    return malformed("the finalize request is too large");
  if (request.error_json && request.status != OrderStatus::kInvalid)
    return malformed("only an invalid order has an error");
  // pending -> ready is not asked for: it follows from the challenges.
  if (request.expected == OrderStatus::kPending && request.status == OrderStatus::kReady)
    return not_an_order_edge();
  if (!may_change(request.expected, request.status)) return not_an_order_edge();
  const auto now_ms = clock_.utc_ms();
  // processing and back to ready are durable within a second (flush()); the end of an order at
  // once.
  const auto promise = is_final(request.status) ? Promise::kDurable : Promise::kNormal;
  return write(promise, [&](Connection& db) -> Answer<wire::OrderUpdateReply> {
    OrderRow order;
    {
      Query query(db, kOrderByTicket, request.ticket);
      STORE_TRY(row, query.next());
      if (!row) return wire::OrderUpdateReply{};
      STORE_TRY(found, read_order(query));
      order = std::move(found);
    }
    auto& record = order.record;
    // A processing order outlives its expiry (states.h): its finalize came in time, and the signer
    // decides.
    record.status = at_time(record.status, record.expires_at_ms, now_ms);
    if (record.status != request.expected) {
      return wire::OrderUpdateReply{false, std::move(record)};
    }
    if (issued) {
      STORE_CHECK(put_certificate(db, *request.certificate, record));
      record.certificate_id = request.certificate->id;
    }
    record.status = request.status;
    record.finalize = request.finalize;
    record.error_json = request.error_json;
    std::optional<Bytes> finalize;
    if (record.finalize) finalize = wire::encode_body(*record.finalize);
    STORE_CHECK(Query(db, kOrderSetResult, order.number, record.status, record.error_json, finalize,
                      record.certificate_id)
                    .finish());
    return wire::OrderUpdateReply{true, std::move(record)};
  });
}

// By number when one is given, else by id and owner. An empty id in the answer: absent.
Answer<wire::AuthzRecord> Store::authz_of(Connection& db, std::size_t statement,
                                          std::int64_t number_or_zero, const std::string& id,
                                          const std::string& account_id) {
  wire::AuthzRecord authz;
  std::int64_t number = 0;
  const auto take = [&](Query& query) -> Answer<bool> {
    STORE_TRY(row, query.next());
    if (!row) return false;
    number = query.integer(0);
    STORE_TRY(found, read_authz(query));
    authz = std::move(found);
    return true;
  };
  if (number_or_zero != 0) {
    Query query(db, statement, number_or_zero);
    STORE_CHECK(take(query));
  } else {
    Query query(db, statement, id, account_id);
    STORE_CHECK(take(query));
  }
  if (authz.id.empty()) return authz;
  authz.status = at_time(authz.status, authz.expires_at_ms, clock_.utc_ms());
  Query query(db, kChallengesOfAuthz, number);
  while (true) {
    STORE_TRY(row, query.next());
    if (!row) return authz;
    STORE_TRY(challenge, read_challenge(query, authz.id));
    authz.challenges.push_back(std::move(challenge));
  }
}

Answer<wire::AuthzGetReply> Store::authz_get(const wire::AuthzGet& request) {
  return read([&](Connection& db) -> Answer<wire::AuthzGetReply> {
    STORE_TRY(authz, authz_of(db, kAuthzOwned, 0, request.id, request.account_id));
    if (authz.id.empty()) return wire::AuthzGetReply{};
    return wire::AuthzGetReply{std::move(authz)};
  });
}

Answer<wire::AuthzUpdateReply> Store::authz_update(const wire::AuthzUpdate& request) {
  if (request.status != AuthzStatus::kDeactivated) {
    return refuse(wire::FailureKind::kRefused, "edge-not-allowed", "a client may only deactivate");
  }
  return write(Promise::kDurable, [&](Connection& db) -> Answer<wire::AuthzUpdateReply> {
    std::int64_t number = 0;
    AuthzStatus status{};
    OrderStatus order_status{};
    {
      STORE_TRY(authz, authz_of(db, kAuthzOwned, 0, request.id, request.account_id));
      if (authz.id.empty()) return wire::AuthzUpdateReply{};
      status = authz.status;
      if (status == AuthzStatus::kDeactivated) return wire::AuthzUpdateReply{std::move(authz)};
    }
    if (!may_change(status, AuthzStatus::kDeactivated)) {
      return refuse(wire::FailureKind::kRefused, "edge-not-allowed", "the authorization has ended");
    }
    {
      Query query(db, kAuthzOwned, request.id, request.account_id);
      STORE_CHECK(query.next());
      number = query.integer(0);
      Query order(db, kOrderByTicket, query.text(3));
      STORE_CHECK(order.next());
      STORE_TRY(row, read_order(order));
      order_status = row.record.status;
    }
    STORE_CHECK(Query(db, kAuthzSetStatus, number, AuthzStatus::kDeactivated).finish());
    if (!is_final(order_status)) {  // RFC 8555 §7.5.2: no issuance on it any more
      STORE_CHECK(Query(db, kOrderSetStatus, number >> kAuthzBits, OrderStatus::kInvalid,
                        std::optional<std::string>())
                      .finish());
    }
    STORE_TRY(after, authz_of(db, kAuthzByNumber, number, {}, {}));
    return wire::AuthzUpdateReply{std::move(after)};
  });
}

// What the end of one challenge means for the order (RFC 8555 §7.1.6).
Answer<bool> Store::settle_order(Connection& db, std::int64_t order_number,
                                 wire::ChallengeStatus outcome,
                                 const std::optional<std::string>& error_json) {
  if (outcome == ChallengeStatus::kInvalid) {
    STORE_CHECK(
        Query(db, kOrderSetStatus, order_number, OrderStatus::kInvalid, error_json).finish());
    return true;
  }
  std::int64_t open = 0;
  {
    Query query(db, kAuthzNotValidCount, order_number, clock_.utc_ms());
    STORE_CHECK(query.next());
    open = query.integer(0);
  }
  if (open != 0) return false;
  STORE_CHECK(
      Query(db, kOrderSetStatus, order_number, OrderStatus::kReady, std::optional<std::string>())
          .finish());
  return true;
}

Answer<wire::ChallengeUpdateReply> Store::challenge_update(const wire::ChallengeUpdate& request) {
  const bool valid = request.status == ChallengeStatus::kValid;
  const bool invalid = request.status == ChallengeStatus::kInvalid;
  if (valid != request.validated_at_ms.has_value())
    return malformed("a valid challenge has its time, no other has");
  if (invalid != request.error_json.has_value())
    return malformed("an invalid challenge has an error, no other has");
  if (!may_change(request.expected, request.status)) {
    return refuse(wire::FailureKind::kRefused, "edge-not-allowed",
                  "a challenge does not go that way");
  }
  const auto now_ms = clock_.utc_ms();
  // NORMAL: a power cut that takes this leaves the challenge to be tried again; the signer has the
  // grant.
  return write(Promise::kNormal, [&](Connection& db) -> Answer<wire::ChallengeUpdateReply> {
    std::int64_t challenge_number = 0;
    std::int64_t authz_number = 0;
    std::int64_t order_number = 0;
    bool open = false;
    {
      Query query(db, kChallengeById, request.id);
      STORE_TRY(row, query.next());
      if (!row) return wire::ChallengeUpdateReply{};
      challenge_number = query.integer(0);
      authz_number = query.integer(6);
      order_number = query.integer(7);
      const auto authz =
          at_time(static_cast<AuthzStatus>(query.integer(2)), query.integer(3), now_ms);
      const auto order =
          at_time(static_cast<OrderStatus>(query.integer(4)), query.integer(5), now_ms);
      open = query.integer(1) == static_cast<std::int64_t>(request.expected) &&
             authz == AuthzStatus::kPending && order == OrderStatus::kPending;
    }
    if (open) {
      STORE_CHECK(Query(db, kChallengeSet, challenge_number, request.status,
                        request.validated_at_ms, request.error_json)
                      .finish());
      if (valid || invalid) {
        const auto follows = valid ? AuthzStatus::kValid : AuthzStatus::kInvalid;
        STORE_CHECK(Query(db, kAuthzSetStatus, authz_number, follows).finish());
        STORE_CHECK(settle_order(db, order_number, request.status, request.error_json));
      }
    }
    STORE_TRY(authz, authz_of(db, kAuthzByNumber, authz_number, {}, {}));
    return wire::ChallengeUpdateReply{open, std::move(authz)};
  });
}

Answer<wire::WorkListReply> Store::work_list(const wire::WorkList&) {
  const auto now_ms = clock_.utc_ms();
  return read([&](Connection& db) -> Answer<wire::WorkListReply> {
    wire::WorkListReply reply;
    std::size_t bytes = 0;
    {
      Query query(db, kWorkOrders);
      while (bytes < limits::kWorkListBytesMax / 2) {
        STORE_TRY(row, query.next());
        if (!row) break;
        reply.orders.push_back({query.text(0), query.text(1)});
        bytes += 16 + reply.orders.back().ticket.size() + reply.orders.back().account_id.size();
      }
    }
    Query query(db, kWorkChallenges, now_ms);
    while (bytes < limits::kWorkListBytesMax) {
      STORE_TRY(row, query.next());
      if (!row) break;
      reply.challenges.push_back({query.text(0), query.text(1), query.text(2)});
      const auto& one = reply.challenges.back();
      bytes += 16 + one.challenge_id.size() + one.authz_id.size() + one.account_id.size();
    }
    return reply;
  });
}

}  // namespace keyward::store
