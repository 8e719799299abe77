// Owns the operations on orders. Must not know how anything is proved.
#include <algorithm>
#include <charconv>

#include "firmware/store/internal.h"

namespace keyward::store {
namespace {

const char* fault_of_authz(const wire::OrderRecord& order, const wire::AuthzRecord& authz) {
  if (authz.account_id != order.account_id) return "an authorization is another account's";
  if (authz.ticket.empty() && !is_reusable(authz.identifier))
    return "an authorization of this type is for one order (D-A9)";
  if (!authz.ticket.empty() && authz.ticket != order.ticket)
    return "an authorization is another order's";
  return store::fault_of(authz);
}

// Nothing is inferred: acme says what it stores, and the store refuses what contradicts itself.
const char* fault_of(const wire::OrderPut& request) {
  const auto& order = request.order;
  const auto count = request.authorizations.size() + request.reused_ids.size();
  if (order.ticket.empty() || count == 0) return "an order needs a ticket and authorizations";
  if (count > limits::kIdentifiersPerOrderMax) return "too many authorizations";
  if (order.error_json || order.finalize || order.certificate_id || order.star_next_at_ms)
    return "a new order has no result";
  bool all_valid = true;
  for (const auto& authz : request.authorizations) {
    if (const char* fault = fault_of_authz(order, authz)) return fault;
    all_valid = all_valid && authz.status == AuthzStatus::kValid;
  }
  auto ids = request.reused_ids;
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end())
    return "an authorization is relied on once";
  const auto should_be = all_valid ? OrderStatus::kReady : OrderStatus::kPending;
  if (order.status != should_be) return "an order is ready when all its authorizations are valid";
  return nullptr;
}

bool is_renewal(const wire::OrderUpdate& request) {
  return request.expected == OrderStatus::kValid && request.status == OrderStatus::kValid;
}

const char* fault_of(const wire::OrderUpdate& request) {
  const bool issued = request.status == OrderStatus::kValid;
  if (issued != request.certificate.has_value())
    return "a valid order has a certificate, no other has";
  if (request.star_next_at_ms && !issued) return "the next certificate follows one";
  const bool waits = request.status == OrderStatus::kProcessing;
  // One that renews may bring what is kept already.
  const bool renews = is_renewal(request) || request.star_next_at_ms;
  if (!renews && waits != request.finalize.has_value())
    return "a processing order keeps its finalize, no other brings one";
  if (waits) {
    const auto& jws = *request.finalize;
    const auto bytes = jws.protected_b64.size() + jws.payload_b64.size() + jws.signature.size();
    if (bytes > limits::kStoredFinalizeBytesMax) return "the finalize request is too large";
  }
  if (request.error_json && request.status != OrderStatus::kInvalid)
    return "only an invalid order has an error";
  return nullptr;
}

tl::unexpected<wire::Failure> not_an_order_edge() {
  return edge_refused("an order does not go that way");
}

}  // namespace

// The order lives no longer than what it relies on: an authorization that expires under it leaves it
// with nothing to issue on (RFC 8555 §7.1.6).
Answer<Store::RelyOn> Store::check_reused(Connection& db, const wire::OrderPut& request,
                                          std::int64_t account_number) {
  RelyOn out;
  out.expires_at_ms = request.order.expires_at_ms;
  for (const auto& authz : request.authorizations) {
    if (authz.status == AuthzStatus::kValid)
      out.expires_at_ms = std::min(out.expires_at_ms, authz.expires_at_ms);
  }
  const auto now_ms = clock_.utc_ms();
  for (const auto& id : request.reused_ids) {
    Query query(db, kAuthzReusable, id, account_number, now_ms);
    STORE_TRY(row, query.next());
    if (!row) {
      // It ended since acme found it: the same order again is made with another.
      return refuse(wire::FailureKind::kUnavailable, "authz-not-reusable",
                    "an authorization that the order relies on is not valid, or for another order");
    }
    out.numbers.push_back(query.integer(0));
    out.expires_at_ms = std::min(out.expires_at_ms, query.integer(1));
  }
  return out;
}

Answer<wire::OrderPutReply> Store::order_put(const wire::OrderPut& request) {
  if (const char* fault = fault_of(request)) return malformed(fault);
  const auto now_ms = clock_.utc_ms();
  if (request.order.expires_at_ms <= now_ms) return malformed("the order's time has passed");
  // NORMAL: an order that a power cut takes costs the client one request, and no promise.
  return write(Promise::kNormal, [&](Connection& db) -> Answer<wire::OrderPutReply> {
    const auto& order = request.order;
    STORE_TRY(account_number, valid_account(db, order.account_id));
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
    STORE_TRY(rely, check_reused(db, request, account_number));
    const auto number = next_number_++;  // one is left out if this fails
    std::optional<std::int64_t> certificate_get;
    if (order.certificate_get) certificate_get = *order.certificate_get ? 1 : 0;
    STORE_CHECK(Query(db, kOrderInsert, number, order.ticket, account_number, order.status,
                      rely.expires_at_ms, pack_identifiers(order.identifiers), order.terms,
                      static_cast<std::int64_t>(rely.numbers.size()), order.replaces,
                      certificate_get, order.tenant)
                    .finish());
    std::int64_t authz_number = number << kAuthzBits;
    for (const auto& authz : request.authorizations) {
      const auto kind = authz.ticket.empty() ? AuthzKind::kShared : AuthzKind::kOfOneOrder;
      STORE_CHECK(put_authorization(db, authz_number++, account_number,
                                    static_cast<std::int64_t>(kind), authz));
    }
    std::int64_t position = 0;
    for (const auto relied : rely.numbers)
      STORE_CHECK(Query(db, kReliedInsert, number, position++, relied).finish());
    if (order.replaces) STORE_CHECK(put_replacement(db, order));
    return wire::OrderPutReply{};
  });
}

Answer<wire::OrderGetReply> Store::order_get(const wire::OrderGet& request) {
  return read([&](Connection& db) -> Answer<wire::OrderGetReply> {
    wire::OrderGetReply reply;
    OrderRow order;
    {
      Query query(db, kOrderOwned, request.ticket, request.account_id);
      STORE_TRY(row, query.next());
      if (!row) return reply;
      STORE_TRY(found, read_order(query));
      order = std::move(found);
    }
    order.record.status = at_time(order.record.status, order.record.expires_at_ms, clock_.utc_ms());
    reply.order = std::move(order.record);
    const auto take = [&](Query query) -> Answer<bool> {
      while (true) {
        STORE_TRY(row, query.next());
        if (!row) return true;
        reply.authz_ids.push_back(query.text(0));
      }
    };
    STORE_CHECK(take(Query(db, kOrderAuthzIds, order.number)));
    if (order.reused != 0) STORE_CHECK(take(Query(db, kOrderReliedIds, order.number)));
    return reply;
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
  if (request.limit && *request.limit == 0) return malformed("a page holds at least one order");
  const auto page = static_cast<std::size_t>(std::min<std::uint64_t>(
      request.limit.value_or(limits::kOrdersPageMax), limits::kOrdersPageMax));
  return read([&](Connection& db) -> Answer<wire::OrderListReply> {
    wire::OrderListReply reply;
    std::int64_t last = 0;
    Query query(db, kOrdersOfAccount, request.account_id, after, now_ms,
                static_cast<std::int64_t>(page) + 1);
    while (true) {
      STORE_TRY(row, query.next());
      if (!row) return reply;
      if (reply.tickets.size() == page) {
        reply.next = std::to_string(last);
        return reply;
      }
      last = query.integer(0);
      reply.tickets.push_back(query.text(1));
    }
  });
}

// Of an order that renews (RFC 8739): when the next certificate is due, and that the order lives
// until the last one ends, so that housekeeping leaves it.
Answer<bool> Store::put_star(Connection& db, std::int64_t number, wire::OrderRecord& record,
                             const wire::OrderUpdate& request) {
  const auto star = star_terms(record);
  if (!star && request.star_next_at_ms)
    return malformed("the order's terms say nothing of renewals");
  if (!star) return true;
  record.star_next_at_ms = request.star_next_at_ms;
  record.expires_at_ms = std::max(record.expires_at_ms, star->end_ms);
  STORE_CHECK(
      Query(db, kOrderSetStar, number, record.star_next_at_ms, record.expires_at_ms).finish());
  return true;
}

Answer<bool> Store::set_result(Connection& db, std::int64_t number, wire::OrderRecord& record,
                               const wire::OrderUpdate& request) {
  if (request.certificate) {
    STORE_CHECK(put_certificate(db, *request.certificate, record));
    record.certificate_id = request.certificate->id;
  }
  if (is_final(request.status) && request.status != OrderStatus::kInvalid)
    STORE_CHECK(put_star(db, number, record, request));
  record.status = request.status;
  // Of an order that renews the finalize is needed for each certificate to come.
  if (request.status == OrderStatus::kProcessing) {
    record.finalize = request.finalize;
  } else if (!record.star_next_at_ms) {
    record.finalize.reset();
  }
  record.error_json = request.error_json;
  std::optional<Bytes> finalize;
  if (record.finalize) finalize = wire::encode_body(*record.finalize);
  STORE_CHECK(Query(db, kOrderSetResult, number, record.status, record.error_json, finalize,
                    record.certificate_id)
                  .finish());
  if (record.status == OrderStatus::kInvalid)
    STORE_CHECK(Query(db, kAnswersForgetOfOrder, number).finish());
  return true;
}

Answer<wire::OrderUpdateReply> Store::order_update(const wire::OrderUpdate& request) {
  if (const char* fault = fault_of(request)) return malformed(fault);
  // pending -> ready is not asked for: it follows from the challenges.
  if (request.expected == OrderStatus::kPending && request.status == OrderStatus::kReady)
    return not_an_order_edge();
  if (!is_renewal(request) && !may_change(request.expected, request.status))
    return not_an_order_edge();
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
    if (record.status != request.expected) return wire::OrderUpdateReply{false, std::move(record)};
    if (request.status == OrderStatus::kCanceled && !star_terms(record)) return not_an_order_edge();
    if (is_renewal(request)) {
      if (!record.star_next_at_ms) return not_an_order_edge();
      // Two that renew at once bring the same certificate (the signer's ledger); one is kept.
      Query same(db, kCertificateOfOrder, request.certificate->serial, record.ticket);
      STORE_TRY(there, same.next());
      if (there) return wire::OrderUpdateReply{false, std::move(record)};
    }
    STORE_CHECK(set_result(db, order.number, record, request));
    return wire::OrderUpdateReply{true, std::move(record)};
  });
}

Answer<wire::WorkListReply> Store::work_list(const wire::WorkList&) {
  const auto now_ms = clock_.utc_ms();
  return read([&](Connection& db) -> Answer<wire::WorkListReply> {
    wire::WorkListReply reply;
    std::size_t bytes = 0;
    const auto take = [&](Query query, std::vector<wire::PendingOrder>& list,
                          std::size_t bytes_max) -> Answer<bool> {
      while (bytes < bytes_max) {
        STORE_TRY(row, query.next());
        if (!row) break;
        list.push_back({query.text(0), query.text(1)});
        bytes += 16 + list.back().ticket.size() + list.back().account_id.size();
      }
      return true;
    };
    STORE_CHECK(take(Query(db, kWorkOrders), reply.orders, limits::kWorkListBytesMax / 3));
    STORE_CHECK(
        take(Query(db, kWorkRenewals, now_ms), reply.renewals, 2 * limits::kWorkListBytesMax / 3));
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
