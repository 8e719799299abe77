// Owns the operations on authorizations and challenges, and what their ends mean for orders. Must
// not know how anything is proved.
#include <algorithm>

#include "firmware/store/internal.h"

namespace keyward::store {
namespace {

constexpr int kAncestorsMax = 8;  // looked for above one name (RFC 9444)

}  // namespace

// One that is to be stored, whatever it belongs to.
const char* fault_of(const wire::AuthzRecord& authz) {
  constexpr std::size_t kChallengesMax = 1u << kChallengeBits;
  if (authz.id.empty() || authz.challenges.empty())
    return "an authorization needs an id and challenges";
  if (authz.status != AuthzStatus::kPending && authz.status != AuthzStatus::kValid)
    return "a new authorization is pending or valid";
  if (authz.challenges.size() > kChallengesMax) return "too many challenges";
  for (const auto& challenge : authz.challenges) {
    const bool has_token = challenge.method != wire::ValidationMethod::kDnsPersist01;
    if (challenge.id.empty() || (has_token && challenge.token.empty()))
      return "a challenge needs an id and a token";
    if (challenge.authz_id != authz.id) return "a challenge is another authorization's";
    if (challenge.answer) return "nothing is answered yet";
  }
  return nullptr;
}

Answer<bool> Store::put_authorization(Connection& db, std::int64_t number,
                                      std::int64_t account_number, std::int64_t kind,
                                      const wire::AuthzRecord& authz) {
  STORE_CHECK(Query(db, kAuthzInsert, number, authz.id, authz.identifier.type,
                    authz.identifier.value, std::int64_t{authz.wildcard}, authz.status,
                    authz.expires_at_ms, account_number, kind, std::int64_t{authz.subtree},
                    authz.tenant)
                  .finish());
  std::int64_t challenge_number = number << kChallengeBits;
  for (const auto& challenge : authz.challenges) {
    STORE_CHECK(Query(db, kChallengeInsert, challenge_number++, challenge.id, challenge.method,
                      challenge.status, challenge.token, challenge.validated_at_ms,
                      challenge.error_json, challenge.data_json)
                    .finish());
  }
  return true;
}

Answer<wire::AuthzPutReply> Store::authz_put(const wire::AuthzPut& request) {
  const auto& authz = request.authz;
  if (const char* fault = fault_of(authz)) return malformed(fault);
  if (!authz.ticket.empty()) return malformed("an authorization of an order comes with its order");
  if (authz.status != AuthzStatus::kPending) return malformed("nothing is proved yet");
  if (!is_reusable(authz.identifier))
    return malformed("an authorization of this type is for one order (D-A9)");
  const auto now_ms = clock_.utc_ms();
  if (authz.expires_at_ms <= now_ms) return malformed("the authorization's time has passed");
  // NORMAL, as a new order: one that a power cut takes costs the client one request.
  return write(Promise::kNormal, [&](Connection& db) -> Answer<wire::AuthzPutReply> {
    STORE_TRY(account_number, valid_account(db, authz.account_id));
    if (filling_)
      return refuse(wire::FailureKind::kExhausted, "store-full", "no room for an authorization");
    {
      Query live(db, kAuthzAloneCount, account_number, now_ms);
      STORE_CHECK(live.next());
      if (live.integer(0) >= options_.open_authz_per_account_max) {
        return refuse(wire::FailureKind::kExhausted, "authz-limit",
                      "the account has too many authorizations without an order");
      }
    }
    STORE_CHECK(put_authorization(db, next_number_++ << kAuthzBits, account_number,
                                  static_cast<std::int64_t>(AuthzKind::kAlone), authz));
    return wire::AuthzPutReply{};
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
  STORE_CHECK(read_challenges(db, kChallengesOfAuthz, number, authz));
  return authz;
}

Answer<bool> Store::read_challenges(Connection& db, std::size_t statement, std::int64_t number,
                                    wire::AuthzRecord& authz) {
  Query query(db, statement, number);
  while (true) {
    STORE_TRY(row, query.next());
    if (!row) return true;
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

// The number of the valid one that lives longest, its own name's before one above; 0: none.
Answer<std::int64_t> Store::best_authz(Connection& db, const std::string& account_id,
                                       const wire::Identifier& identifier) {
  constexpr std::string_view kWildcard = "*.";
  const auto now_ms = clock_.utc_ms();
  const bool is_dns = identifier.type == wire::IdentifierType::kDns;
  std::string_view name = identifier.value;
  const bool wildcard = is_dns && name.substr(0, kWildcard.size()) == kWildcard;
  if (wildcard) name.remove_prefix(kWildcard.size());
  std::int64_t best = 0;
  std::int64_t best_expires_at_ms = 0;
  for (int above = 0; above <= kAncestorsMax; ++above) {
    Query query(db, kAuthzFind, account_id, identifier.type, name, std::int64_t{wildcard},
                std::int64_t{above}, now_ms);
    STORE_TRY(row, query.next());
    if (row && query.integer(1) > best_expires_at_ms) {
      best = query.integer(0);
      best_expires_at_ms = query.integer(1);
    }
    const auto dot = name.find('.');
    // RFC 9444: what proves a name with all below it does so for no wildcard and no address.
    if (!is_dns || wildcard || dot == std::string_view::npos) break;
    name.remove_prefix(dot + 1);
  }
  return best;
}

Answer<wire::AuthzFindReply> Store::authz_find(const wire::AuthzFind& request) {
  return read([&](Connection& db) -> Answer<wire::AuthzFindReply> {
    wire::AuthzFindReply reply;
    std::vector<std::int64_t> taken;
    std::size_t bytes = 0;
    for (const auto& identifier : request.identifiers) {
      if (!is_reusable(identifier)) continue;  // D-A9: never what proves a device
      STORE_TRY(number, best_authz(db, request.account_id, identifier));
      if (number == 0 || std::find(taken.begin(), taken.end(), number) != taken.end()) continue;
      taken.push_back(number);
      wire::AuthzRecord authz;
      {
        Query query(db, kAuthzByNumber, number);
        STORE_CHECK(query.next());
        STORE_TRY(found, read_authz(query));
        authz = std::move(found);
      }
      STORE_CHECK(read_challenges(db, kChallengeProved, number, authz));
      bytes += wire::encode_body(authz).size();
      // What does not fit is proved anew: no harm but a round.
      if (bytes > limits::kAuthzFindBytesMax) break;
      reply.authorizations.push_back(std::move(authz));
    }
    return reply;
  });
}

// RFC 8555 §7.5.2: no issuance on it any more.
Answer<bool> Store::end_orders_on(Connection& db, std::int64_t authz_number) {
  std::vector<std::int64_t> numbers;
  {
    Query query(db, kOpenOrdersOn, authz_number);
    while (true) {
      STORE_TRY(row, query.next());
      if (!row) break;
      numbers.push_back(query.integer(0));
    }
  }
  for (const auto number : numbers) {
    STORE_CHECK(
        Query(db, kOrderSetStatus, number, OrderStatus::kInvalid, std::optional<std::string>())
            .finish());
    STORE_CHECK(Query(db, kAnswersForgetOfOrder, number).finish());
  }
  return true;
}

Answer<wire::AuthzUpdateReply> Store::authz_update(const wire::AuthzUpdate& request) {
  // The client deactivates; acme revokes what the signer has no proof for any more.
  const bool ends =
      request.status == AuthzStatus::kDeactivated || request.status == AuthzStatus::kRevoked;
  if (!ends) return edge_refused("an authorization is deactivated or revoked, nothing else");
  return write(Promise::kDurable, [&](Connection& db) -> Answer<wire::AuthzUpdateReply> {
    std::int64_t number = 0;
    {
      Query query(db, kAuthzOwned, request.id, request.account_id);
      STORE_TRY(row, query.next());
      if (!row) return wire::AuthzUpdateReply{};
      number = query.integer(0);
    }
    STORE_TRY(authz, authz_of(db, kAuthzByNumber, number, {}, {}));
    if (authz.status == request.status) return wire::AuthzUpdateReply{std::move(authz)};
    if (!may_change(authz.status, request.status))
      return edge_refused("the authorization has ended");
    STORE_CHECK(Query(db, kAuthzSetStatus, number, request.status).finish());
    STORE_CHECK(Query(db, kAnswersForgetOfAuthz, number).finish());
    STORE_CHECK(end_orders_on(db, number));
    STORE_TRY(after, authz_of(db, kAuthzByNumber, number, {}, {}));
    return wire::AuthzUpdateReply{std::move(after)};
  });
}

// What the end of one challenge means for its authorization and the order (RFC 8555 §7.1.6). Only
// valid authorizations are relied on by further orders, so that none but its first waits for it.
Answer<bool> Store::settle(Connection& db, const StoredChallenge& stored,
                           const wire::ChallengeUpdate& request) {
  // Nobody waits for the other challenges any more.
  STORE_CHECK(Query(db, kAnswersForgetOfAuthz, stored.authz_number).finish());
  if (request.status == ChallengeStatus::kInvalid) {
    STORE_CHECK(Query(db, kAuthzSetStatus, stored.authz_number, AuthzStatus::kInvalid).finish());
    if (stored.order_number == 0) return true;
    STORE_CHECK(
        Query(db, kOrderSetStatus, stored.order_number, OrderStatus::kInvalid, request.error_json)
            .finish());
    STORE_CHECK(Query(db, kAnswersForgetOfOrder, stored.order_number).finish());
    return true;
  }
  STORE_CHECK(Query(db, kAuthzSetValid, stored.authz_number, request.authz_expires_at_ms).finish());
  if (stored.order_number == 0) return true;
  // The order lives no longer than what it relies on.
  if (request.authz_expires_at_ms && *request.authz_expires_at_ms < stored.order_expires_at_ms) {
    STORE_CHECK(
        Query(db, kOrderSetExpiry, stored.order_number, *request.authz_expires_at_ms).finish());
  }
  const auto now_ms = clock_.utc_ms();
  std::int64_t open = 0;
  {
    Query query(db, kAuthzNotValidCount, stored.order_number, now_ms);
    STORE_CHECK(query.next());
    open = query.integer(0);
  }
  if (open == 0 && stored.order_reused != 0) {
    Query query(db, kReliedNotValidCount, stored.order_number, now_ms);
    STORE_CHECK(query.next());
    open = query.integer(0);
  }
  if (open != 0) return true;
  STORE_CHECK(Query(db, kOrderSetStatus, stored.order_number, OrderStatus::kReady,
                    std::optional<std::string>())
                  .finish());
  return true;
}

// One answer at a time, so that an authorization with all it holds fits one message.
Answer<bool> Store::check_room_for_answer(Connection& db, const StoredChallenge& stored,
                                          const Bytes& answer) {
  if (filling_)
    return refuse(wire::FailureKind::kExhausted, "store-full", "no room for another answer");
  STORE_TRY(authz, authz_of(db, kAuthzByNumber, stored.authz_number, {}, {}));
  for (const auto& challenge : authz.challenges) {
    if (challenge.answer)
      return edge_refused("another answer of the authorization is being judged");
  }
  if (wire::encode_body(authz).size() + answer.size() > limits::kAnsweredAuthzBytesMax)
    return malformed("the answer does not fit beside its authorization");
  return true;
}

// Absent: number 0.
Answer<Store::StoredChallenge> Store::find_challenge(Connection& db, const std::string& id) {
  const auto now_ms = clock_.utc_ms();
  StoredChallenge stored;
  Query query(db, kChallengeById, id);
  STORE_TRY(row, query.next());
  if (!row) return stored;
  stored.number = query.integer(0);
  stored.status = static_cast<ChallengeStatus>(query.integer(1));
  stored.authz_number = query.integer(2);
  const bool alone = query.integer(3) == static_cast<std::int64_t>(AuthzKind::kAlone);
  const auto authz = at_time(static_cast<AuthzStatus>(query.integer(4)), query.integer(5), now_ms);
  const auto account = static_cast<AccountStatus>(query.integer(6));
  stored.order_number = query.integer(7);  // NULL reads as 0
  const auto order = at_time(static_cast<OrderStatus>(query.integer(8)), query.integer(9), now_ms);
  stored.order_expires_at_ms = query.integer(9);
  stored.order_reused = query.integer(10);
  stored.open = authz == AuthzStatus::kPending && account == AccountStatus::kValid &&
                (alone || (stored.order_number != 0 && order == OrderStatus::kPending));
  return stored;
}

Answer<wire::ChallengeUpdateReply> Store::challenge_update(const wire::ChallengeUpdate& request) {
  const bool valid = request.status == ChallengeStatus::kValid;
  const bool invalid = request.status == ChallengeStatus::kInvalid;
  if (valid != request.validated_at_ms.has_value())
    return malformed("a valid challenge has its time, no other has");
  if (invalid != request.error_json.has_value())
    return malformed("an invalid challenge has an error, no other has");
  if (request.authz_expires_at_ms && !valid)
    return malformed("only what is proved lives for another time");
  if (request.answer && request.status != ChallengeStatus::kProcessing)
    return malformed("an answer is kept while it is judged, not longer");
  if (!may_change(request.expected, request.status))
    return edge_refused("a challenge does not go that way");
  // NORMAL: a power cut that takes this leaves the challenge to be tried again; the signer has the
  // grant.
  return write(Promise::kNormal, [&](Connection& db) -> Answer<wire::ChallengeUpdateReply> {
    STORE_TRY(stored, find_challenge(db, request.id));
    if (stored.number == 0) return wire::ChallengeUpdateReply{};
    const bool applies = stored.open && stored.status == request.expected;
    if (applies) {
      if (request.answer) STORE_CHECK(check_room_for_answer(db, stored, *request.answer));
      STORE_CHECK(Query(db, kChallengeSet, stored.number, request.status, request.validated_at_ms,
                        request.error_json, request.answer)
                      .finish());
      if (valid || invalid) STORE_CHECK(settle(db, stored, request));
    }
    STORE_TRY(authz, authz_of(db, kAuthzByNumber, stored.authz_number, {}, {}));
    for (auto& challenge : authz.challenges) challenge.answer.reset();  // its sender has it
    return wire::ChallengeUpdateReply{applies, std::move(authz)};
  });
}

}  // namespace keyward::store
