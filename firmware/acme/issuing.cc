#include "firmware/acme/issuing.h"

#include <algorithm>

#include "firmware/acme/authorizing.h"
#include "firmware/acme/states.h"
#include "firmware/log/log.h"
#include "hal/base/rng.h"

namespace keyward::acme {
namespace {

// Moves the order off "processing"; the step says what is true afterwards.
IssueStep move_order(Context& context, wire::OrderRecord order, wire::OrderUpdate update,
                     std::optional<Problem> problem) {
  update.ticket = order.ticket;
  update.expected = OrderStatus::kProcessing;
  auto reply = context.backend.store.ask(update);
  if (!reply) {
    // The order is still processing in the store, with its JWS: the background does this step
    // again.
    log::warning("order kept processing: the store did not answer", {{"code", reply.error().code}});
    return {std::move(order), std::nullopt, backoff_ms(0)};
  }
  if (reply->order) order = std::move(*reply->order);
  if (!reply->applied)
    return {std::move(order), std::nullopt, std::nullopt};  // another asker was faster
  return {std::move(order), std::move(problem), std::nullopt};
}

IssueStep keep_certificate(Context& context, wire::OrderRecord order,
                           wire::CertificateIssueReply made) {
  wire::OrderUpdate update;
  update.status = OrderStatus::kValid;
  if (made.star_next_at_ms) {  // RFC 8739: the same finalize makes the next certificate
    update.star_next_at_ms = made.star_next_at_ms;
    update.finalize = order.finalize;
  }
  update.certificate = wire::CertificateRecord{
      random_id(),       order.account_id,      order.ticket, std::move(made.serial),
      made.not_after_ms, std::move(made.chain), std::nullopt, std::nullopt,
      std::nullopt};
  return move_order(context, std::move(order), std::move(update), std::nullopt);
}

// The signer's word: what the store calls valid is not, or not any more.
bool is_proof_gone(std::string_view code) {
  return code == "no-grant" || code == "grant-missing" || code == "grant-expired";
}

IssueStep after_failure(Context& context, wire::OrderRecord order, const wire::Failure& failure,
                        Audience audience) {
  auto fate = fate_of(failure);
  Problem problem = problem_from(failure);
  // A ready order cannot carry an error: a client that only polls would never learn the reason.
  if (audience == Audience::kOrder && fate == OrderFate::kStaysReady) {
    fate = problem.type == ProblemType::kRateLimited ? OrderFate::kProcessing : OrderFate::kInvalid;
  }
  if (fate == OrderFate::kProcessing) {
    const auto asked_ms = static_cast<std::int64_t>(std::min<std::uint64_t>(
        failure.retry_after_ms.value_or(0), static_cast<std::uint64_t>(limits::kJobAskedMsMax)));
    log::info("order waits", {{"code", failure.code}});
    return {std::move(order), std::nullopt, std::max(asked_ms, limits::kJobBackoffMsMin)};
  }
  log::info("certificate refused", {{"code", failure.code}, {"detail", failure.detail}});
  wire::OrderUpdate update;
  update.status = fate == OrderFate::kStaysReady ? OrderStatus::kReady : OrderStatus::kInvalid;
  if (fate == OrderFate::kInvalid) update.error_json = problem.stored_json();
  const wire::OrderRecord ended = order;
  auto step = move_order(context, std::move(order), std::move(update), std::move(problem));
  if (is_proof_gone(failure.code)) revoke_proofs(context, ended);  // after the order has its reason
  return step;
}

// Empty: the order has come to its end.
std::optional<std::int64_t> try_in_background(Context& context, const std::string& ticket,
                                              const std::string& account_id, int attempt) {
  const auto guard = context.in_flight.enter(ticket);
  if (!guard) return limits::kJobBackoffMsMin;
  auto found = context.backend.store.ask(wire::OrderGet{ticket, account_id});
  if (!found) return backoff_ms(attempt);
  if (!found->order || found->order->status != OrderStatus::kProcessing) return std::nullopt;
  auto account = load_account(context, account_id);
  if (!account) return backoff_ms(attempt);
  if (!*account || (*account)->record.status != wire::AccountStatus::kValid ||
      !found->order->finalize) {
    wire::OrderUpdate update;
    update.status = OrderStatus::kInvalid;
    update.error_json =
        Problem::of(ProblemType::kUnauthorized, "order.account", "the order's account is not valid")
            .json();
    const auto step =
        move_order(context, std::move(*found->order), std::move(update), std::nullopt);
    return step.again_ms;
  }
  const auto step = issue(context, **account, std::move(*found->order), Audience::kOrder);
  if (!step.again_ms) return std::nullopt;
  return std::max(*step.again_ms, backoff_ms(attempt));
}

}  // namespace

IssueStep issue(Context& context, const Account& account, wire::OrderRecord order,
                Audience audience) {
  const wire::CertificateIssue ask{account.record.jwk, *order.finalize, order.terms};
  const auto wait_ms =
      audience == Audience::kClient ? limits::kIssueWaitMs : limits::kPeerCallSlowMs;
  auto made = context.backend.signer.ask(ask, wait_ms);
  if (made) return keep_certificate(context, std::move(order), std::move(*made));
  return after_failure(context, std::move(order), made.error(), audience);
}

void post_issuance(Context& context, const std::string& ticket, const std::string& account_id,
                   std::int64_t delay_ms) {
  const auto posted = context.issuances.post(
      ticket,
      [&context, ticket, account_id](int attempt) {
        return try_in_background(context, ticket, account_id, attempt);
      },
      delay_ms, account_id);
  // Full: the periodic look at the store, or the client's next poll, takes the order up.
  if (!posted) log::warning("issuance not queued", {{"why", posted.error().what}});
}

void resume_issuance(Context& context, const std::string& ticket, const std::string& account_id) {
  if (context.in_flight.has(ticket) || context.issuances.has(ticket)) return;
  post_issuance(context, ticket, account_id, 0);
}

}  // namespace keyward::acme
