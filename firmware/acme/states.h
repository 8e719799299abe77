// Owns the state machines of accounts, orders, authorizations and challenges (RFC 8555 §7.1.6) as
// pure functions. Must not know storage, JSON or time's source: `now_ms` is UTC and given by the
// caller. Both acme (to decide and to show) and store (to refuse any other edge) use them. Threads:
// pure.
#pragma once

#include <cstdint>
#include <span>

#include "firmware/wire/messages/common.h"

namespace keyward::acme {

using wire::AccountStatus;
using wire::AuthzStatus;
using wire::ChallengeStatus;
using wire::OrderStatus;
using wire::RecoveryStatus;

// Deactivation is the client's, revocation the server's; neither is ever taken back (§7.3.6).
constexpr bool may_change(AccountStatus from, AccountStatus to) {
  return from == AccountStatus::kValid && to != AccountStatus::kValid;
}

// A synchronous method (device-attest-01, D-A6) goes from pending straight to its end.
constexpr bool may_change(ChallengeStatus from, ChallengeStatus to) {
  switch (from) {
    case ChallengeStatus::kPending:
      return to != ChallengeStatus::kPending;
    case ChallengeStatus::kProcessing:
      return to == ChallengeStatus::kValid || to == ChallengeStatus::kInvalid;
    case ChallengeStatus::kValid:
    case ChallengeStatus::kInvalid:
      return false;
  }
  return false;
}

// pending -> deactivated is not drawn in §7.1.6 but allowed by §7.5.2 in practice.
constexpr bool may_change(AuthzStatus from, AuthzStatus to) {
  switch (from) {
    case AuthzStatus::kPending:
      return to == AuthzStatus::kValid || to == AuthzStatus::kInvalid ||
             to == AuthzStatus::kDeactivated || to == AuthzStatus::kExpired;
    case AuthzStatus::kValid:
      return to == AuthzStatus::kDeactivated || to == AuthzStatus::kExpired ||
             to == AuthzStatus::kRevoked;
    default:
      return false;
  }
}

// processing -> ready: a refused CSR leaves the order as it was (§7.4, "SHOULD leave the order
// ready").
constexpr bool may_change(OrderStatus from, OrderStatus to) {
  switch (from) {
    case OrderStatus::kPending:
      return to == OrderStatus::kReady || to == OrderStatus::kInvalid;
    case OrderStatus::kReady:
      return to == OrderStatus::kProcessing || to == OrderStatus::kInvalid;
    case OrderStatus::kProcessing:
      return to == OrderStatus::kValid || to == OrderStatus::kInvalid || to == OrderStatus::kReady;
    case OrderStatus::kValid:  // RFC 8739 §3.1.2; whether the order is one that renews is checked
                               // elsewhere
      return to == OrderStatus::kCanceled;
    case OrderStatus::kInvalid:
    case OrderStatus::kCanceled:
      return false;
  }
  return false;
}

// pending -> processing by a proof, processing -> valid after the cooling-off time; a veto or time
// ends it.
constexpr bool may_change(RecoveryStatus from, RecoveryStatus to) {
  switch (from) {
    case RecoveryStatus::kPending:
      return to == RecoveryStatus::kProcessing || to == RecoveryStatus::kInvalid;
    case RecoveryStatus::kProcessing:
      return to == RecoveryStatus::kValid || to == RecoveryStatus::kInvalid;
    case RecoveryStatus::kValid:
    case RecoveryStatus::kInvalid:
      return false;
  }
  return false;
}

constexpr bool is_final(RecoveryStatus status) {
  return status == RecoveryStatus::kValid || status == RecoveryStatus::kInvalid;
}
constexpr bool is_final(OrderStatus status) {
  return status == OrderStatus::kValid || status == OrderStatus::kInvalid ||
         status == OrderStatus::kCanceled;
}
constexpr bool is_final(ChallengeStatus status) {
  return status == ChallengeStatus::kValid || status == ChallengeStatus::kInvalid;
}

// What an authorization becomes when one of its challenges reaches `challenge` (§7.1.6: one valid
// challenge suffices; one that was attempted and failed ends it).
constexpr AuthzStatus authz_after(AuthzStatus authz, ChallengeStatus challenge) {
  if (authz != AuthzStatus::kPending) return authz;
  if (challenge == ChallengeStatus::kValid) return AuthzStatus::kValid;
  if (challenge == ChallengeStatus::kInvalid) return AuthzStatus::kInvalid;
  return authz;
}

// The status as it is at `now_ms`: what is stored may be older than its own expiry.
constexpr AuthzStatus at_time(AuthzStatus authz, std::int64_t expires_at_ms, std::int64_t now_ms) {
  const bool live = authz == AuthzStatus::kPending || authz == AuthzStatus::kValid;
  return live && now_ms >= expires_at_ms ? AuthzStatus::kExpired : authz;
}

// A processing order outlives its expiry: its finalize came in time, and the signer decides. A
// valid order stays valid (its certificate exists).
constexpr OrderStatus at_time(OrderStatus order, std::int64_t expires_at_ms, std::int64_t now_ms) {
  const bool waits_for_client = order == OrderStatus::kPending || order == OrderStatus::kReady;
  return waits_for_client && now_ms >= expires_at_ms ? OrderStatus::kInvalid : order;
}

constexpr RecoveryStatus at_time(RecoveryStatus recovery, std::int64_t ends_at_ms,
                                 std::int64_t now_ms) {
  return !is_final(recovery) && now_ms >= ends_at_ms ? RecoveryStatus::kInvalid : recovery;
}

// What an order becomes from the statuses of all its authorizations. An order without any is never
// ready: a comparison that compares nothing is a refusal.
constexpr OrderStatus order_after(OrderStatus order, std::span<const AuthzStatus> authorizations) {
  if (order != OrderStatus::kPending && order != OrderStatus::kReady) return order;
  bool all_valid = !authorizations.empty();
  for (const auto status : authorizations) {
    if (status != AuthzStatus::kValid && status != AuthzStatus::kPending)
      return OrderStatus::kInvalid;
    if (status != AuthzStatus::kValid) all_valid = false;
  }
  if (all_valid) return OrderStatus::kReady;
  return order;
}

}  // namespace keyward::acme
