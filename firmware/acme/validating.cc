#include "firmware/acme/validating.h"

#include <algorithm>

#include "firmware/acme/states.h"
#include "firmware/log/log.h"

namespace keyward::acme {
namespace {

std::string job_key(std::string_view authz_id, std::string_view challenge_id) {
  return std::string(authz_id) + "/" + std::string(challenge_id);
}

struct Place {
  std::string authz_id;
  std::string challenge_id;
  std::string account_id;
};

// What a client may still be putting right, or the network: worth another look. All else is the
// answer (a CAA record says no, the address is one that is never asked).
bool may_pass(const Problem& problem) {
  if (problem.code == "egress.refused") return false;
  const auto type = problem.type;
  return type == ProblemType::kDns || type == ProblemType::kConnection ||
         type == ProblemType::kTls || type == ProblemType::kUnauthorized ||
         type == ProblemType::kIncorrectResponse || type == ProblemType::kServerInternal;
}

wire::NameValidate question(const Context& context, const wire::AuthzRecord& authz,
                            const wire::ChallengeRecord& challenge, const Account& account) {
  wire::NameValidate ask;
  ask.thumbprint = account.jwk.thumbprint();
  ask.identifier = authz.identifier;
  ask.wildcard = authz.wildcard;
  ask.ticket = authz.ticket;
  ask.method = challenge.method;
  ask.expires_at_ms = authz.expires_at_ms;
  ask.token = challenge.token;
  ask.subtree = authz.subtree;
  ask.account_url = context.urls.account(account.record.id);
  ask.earlier_keys = account.record.earlier_keys;
  return ask;
}

// Failed looks are counted here and not in the store: after a restart a challenge has all its tries
// again, which its expiry bounds.
std::optional<std::int64_t> after_failed_look(const Context& context,
                                              const wire::AuthzRecord& authz,
                                              const Problem& problem, int& failed_looks) {
  ++failed_looks;
  if (!may_pass(problem) || failed_looks >= context.config.validation_tries) return std::nullopt;
  const auto pause_ms = context.config.validation_retry_ms;
  if (context.clock.utc_ms() + pause_ms >= authz.expires_at_ms) return std::nullopt;
  log::info("validation will be tried again", {{"code", problem.code}, {"detail", problem.detail}});
  return pause_ms;
}

// One try. Empty: decided.
std::optional<std::int64_t> try_validation(Context& context, const Place& place, int attempt,
                                           int& failed_looks) {
  auto found = context.backend.store.ask(wire::AuthzGet{place.authz_id, place.account_id});
  if (!found) return backoff_ms(attempt);
  if (!found->authz) return std::nullopt;
  const auto& authz = *found->authz;
  const auto* record = find_challenge(authz, place.challenge_id);
  if (record == nullptr || record->status != ChallengeStatus::kProcessing) return std::nullopt;
  // Deactivated, or decided by another challenge: no grant may come of this one any more.
  const auto now_ms = context.clock.utc_ms();
  if (at_time(authz.status, authz.expires_at_ms, now_ms) != AuthzStatus::kPending)
    return std::nullopt;
  auto account = load_account(context, place.account_id);
  if (!account) return backoff_ms(attempt);
  if (!*account || (*account)->record.status != wire::AccountStatus::kValid) return std::nullopt;
  auto result = context.backend.validation.ask(question(context, authz, *record, **account),
                                               limits::kPeerCallSlowMs);
  std::optional<Problem> problem;
  if (!result) {
    const bool comes_back = fate_of(result.error()) == OrderFate::kProcessing;
    if (comes_back && context.clock.utc_ms() < authz.expires_at_ms) return backoff_ms(attempt);
    problem = problem_from(result.error());
  } else if (result->problem) {
    problem = problem_from(*result->problem);
    if (const auto again_ms = after_failed_look(context, authz, *problem, failed_looks))
      return again_ms;
  }
  auto update =
      challenge_update(*record, problem ? ChallengeStatus::kInvalid : ChallengeStatus::kValid);
  if (problem) {
    log::info("validation failed", {{"code", problem->code}, {"detail", problem->detail}});
    update.error_json = problem->stored_json();
    const auto failures = failure_key(place.account_id, authz.identifier);
    context.rates.charge({{Rate::kFailuresPerName, failures}, {Rate::kFailures, {}}});
  } else {
    update.validated_at_ms = result->validated_at_ms;
    if (result->grant_expires_at_ms > 0) update.authz_expires_at_ms = result->grant_expires_at_ms;
  }
  // The store is away: validated again then, which does no harm.
  if (!context.backend.store.ask(update)) return backoff_ms(attempt);
  return std::nullopt;
}

}  // namespace

const wire::ChallengeRecord* find_challenge(const wire::AuthzRecord& authz, std::string_view id) {
  const auto at = std::find_if(authz.challenges.begin(), authz.challenges.end(),
                               [&](const auto& c) { return c.id == id; });
  return at == authz.challenges.end() ? nullptr : &*at;
}

wire::ChallengeUpdate challenge_update(const wire::ChallengeRecord& challenge,
                                       wire::ChallengeStatus status) {
  wire::ChallengeUpdate update;
  update.id = challenge.id;
  update.expected = challenge.status;
  update.status = status;
  return update;
}

void resume_validation(Context& context, const std::string& authz_id,
                       const std::string& challenge_id, const std::string& account_id) {
  const auto posted = context.validations.post(
      job_key(authz_id, challenge_id), [&context, place = Place{authz_id, challenge_id, account_id},
                                        failed_looks = std::make_shared<int>(0)](int attempt) {
        return try_validation(context, place, attempt, *failed_looks);
      });
  // Full: the periodic look at the store, or the client's next poll, takes the challenge up.
  if (!posted) log::warning("validation not queued", {{"why", posted.error().what}});
}

void hurry_validation(Context& context, const std::string& authz_id,
                      const std::string& challenge_id) {
  context.validations.hasten(job_key(authz_id, challenge_id), limits::kValidationHurryMs);
}

bool wait_for_validation(Context& context, const std::string& authz_id,
                         const std::string& challenge_id) {
  return context.validations.wait(job_key(authz_id, challenge_id), limits::kQuickValidationMs);
}

}  // namespace keyward::acme
