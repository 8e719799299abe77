#include "firmware/acme/validating.h"

#include <algorithm>

#include "firmware/acme/remote_attestation.h"
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
  ask.account_url = context.urls.of(account.record.tenant).account(account.record.id);
  ask.earlier_keys = account.record.earlier_keys;
  return ask;
}

// Counted here and not in the store: after a restart a challenge has all its tries and all the
// patience again, which its expiry bounds.
struct Looks {
  int failed = 0;
  std::optional<std::int64_t> first_at_ms;  // monotonic, when the first one began
};

// The pause before another look; empty: the problem is the result. A host that is silent makes each
// look as long as it may be: the client is not left to wait for all of them.
std::optional<std::int64_t> after_failed_look(const Context& context,
                                              const wire::AuthzRecord& authz, const Look& look,
                                              const Looks& looks) {
  const auto& config = context.config;
  const auto& problem = *look.problem;
  const bool remote = authz.identifier.type == wire::IdentifierType::kRemoteAttestation;
  if (remote && !look.verifier_away) return std::nullopt;  // what was signed stays what it is
  if (!remote && (!may_pass(problem) || looks.failed >= config.validation_tries))
    return std::nullopt;
  const auto pause_ms = remote ? std::max(config.validation_retry_ms, limits::kJobBackoffMsMin)
                               : config.validation_retry_ms;
  // Who configured longer pauses wants them all.
  const auto patience_ms =
      remote ? config.relay_patience_ms
             : std::max(config.validation_patience_ms, config.validation_tries * pause_ms);
  const auto next_at_ms = context.clock.monotonic_ms() + pause_ms;
  if (next_at_ms - *looks.first_at_ms >= patience_ms) return std::nullopt;
  if (context.clock.utc_ms() + pause_ms >= authz.expires_at_ms) return std::nullopt;
  log::info("validation will be tried again", {{"code", problem.code}, {"detail", problem.detail}});
  return pause_ms;
}

Look look_at_name(Context& context, const wire::AuthzRecord& authz,
                  const wire::ChallengeRecord& challenge, const Account& account) {
  auto reply = context.backend.validation.ask(question(context, authz, challenge, account),
                                              limits::kPeerCallSlowMs);
  Look out;
  if (!reply) {
    out.problem = problem_from(reply.error());
    out.peer_away = fate_of(reply.error()) == OrderFate::kProcessing;
    return out;
  }
  if (reply->problem) out.problem = problem_from(*reply->problem);
  out.validated_at_ms = reply->validated_at_ms;
  out.grant_expires_at_ms = reply->grant_expires_at_ms;
  return out;
}

// What the client is told of a verifier that stayed away: its evidence was not judged (D-R6).
void give_up_on_verifier(Look& look) {
  if (!look.verifier_away) return;
  look.problem = Problem::of(ProblemType::kBadAttestationStatement, "relay.unavailable",
                             "the verifier of this evidence did not answer in time");
}

wire::ChallengeUpdate outcome_of(Context& context, const wire::AuthzRecord& authz,
                                 const wire::ChallengeRecord& record, const Look& look) {
  auto update =
      challenge_update(record, look.problem ? ChallengeStatus::kInvalid : ChallengeStatus::kValid);
  if (look.problem) {
    log::info("validation failed",
              {{"code", look.problem->code}, {"detail", look.problem->detail}});
    update.error_json = look.problem->stored_json();
    const auto failures = failure_key(authz.account_id, authz.identifier);
    context.rates.charge({{Rate::kFailuresPerName, failures}, {Rate::kFailures, {}}});
    return update;
  }
  update.validated_at_ms = look.validated_at_ms;
  if (look.grant_expires_at_ms > 0) update.authz_expires_at_ms = look.grant_expires_at_ms;
  return update;
}

// One try. Empty: decided.
std::optional<std::int64_t> try_validation(Context& context, const Place& place, int attempt,
                                           Looks& looks) {
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
  if (!looks.first_at_ms) looks.first_at_ms = context.clock.monotonic_ms();
  auto look = record->method == wire::ValidationMethod::kRemoteAttest01
                  ? look_at_remote(context, authz, *record, **account)
                  : look_at_name(context, authz, *record, **account);
  if (look.peer_away) {
    if (context.clock.utc_ms() < authz.expires_at_ms) return backoff_ms(attempt);
  } else if (look.problem) {
    ++looks.failed;
    if (const auto again_ms = after_failed_look(context, authz, look, looks)) return again_ms;
    give_up_on_verifier(look);
  }
  // The store is away: validated again then, which does no harm.
  if (!context.backend.store.ask(outcome_of(context, authz, *record, look)))
    return backoff_ms(attempt);
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
      job_key(authz_id, challenge_id),
      [&context, place = Place{authz_id, challenge_id, account_id},
       looks = std::make_shared<Looks>()](int attempt) {
        return try_validation(context, place, attempt, *looks);
      },
      0, account_id);
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
