#include "firmware/acme/challenge_resources.h"

#include <algorithm>

#include "firmware/acme/account_resources.h"
#include "firmware/acme/states.h"
#include "firmware/log/log.h"

namespace keyward::acme {
namespace {

using wire::ValidationMethod;

std::string job_key(std::string_view authz_id, std::string_view challenge_id) {
  return std::string(authz_id) + "/" + std::string(challenge_id);
}

const wire::ChallengeRecord* find_challenge(const wire::AuthzRecord& authz, std::string_view id) {
  const auto at = std::find_if(authz.challenges.begin(), authz.challenges.end(),
                               [&](const auto& c) { return c.id == id; });
  return at == authz.challenges.end() ? nullptr : &*at;
}

Outcome<wire::AuthzRecord> load_authz(Context& context, std::string_view id,
                                      const std::string& account_id) {
  auto reply = context.backend.store.ask(wire::AuthzGet{std::string(id), account_id});
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->authz) return refuse(not_found());
  return std::move(*reply->authz);
}

Outcome<HttpResponse> challenge_response(const Context& context, const wire::AuthzRecord& authz,
                                         std::string_view id) {
  const auto* record = find_challenge(authz, id);
  if (record == nullptr) return refuse(not_found());
  auto response = json_response(200, challenge_json(context.urls, *record));
  response.headers.emplace_back("Link", "<" + context.urls.authz(authz.id) + ">;rel=\"up\"");
  if (record->status == ChallengeStatus::kProcessing) {
    response.headers.emplace_back("Retry-After", std::to_string(context.config.order_poll_s));
  }
  return response;
}

wire::ChallengeUpdate challenge_update(const wire::ChallengeRecord& challenge,
                                       ChallengeStatus status) {
  wire::ChallengeUpdate update;
  update.id = challenge.id;
  update.expected = challenge.status;
  update.status = status;
  return update;
}

// One try of an http-01 validation. Empty: decided.
std::optional<std::int64_t> try_validation(Context& context, const std::string& authz_id,
                                           const std::string& challenge_id,
                                           const std::string& account_id, int attempt) {
  auto found = context.backend.store.ask(wire::AuthzGet{authz_id, account_id});
  if (!found) return backoff_ms(attempt);
  if (!found->authz) return std::nullopt;
  const auto& authz = *found->authz;
  const auto* record = find_challenge(authz, challenge_id);
  if (record == nullptr || record->status != ChallengeStatus::kProcessing) return std::nullopt;
  auto account = load_account(context, account_id);
  if (!account) return backoff_ms(attempt);
  if (!*account) return std::nullopt;
  auto result = context.backend.validation.ask(
      wire::NameValidate{(*account)->jwk.thumbprint(), authz.identifier, authz.wildcard,
                         authz.ticket, record->method, authz.expires_at_ms, record->token},
      limits::kPeerCallSlowMs);
  std::optional<Problem> problem;
  if (!result) {
    const bool comes_back = fate_of(result.error()) == OrderFate::kProcessing;
    if (comes_back && context.clock.utc_ms() < authz.expires_at_ms) return backoff_ms(attempt);
    problem = problem_from(result.error());
  } else if (result->problem) {
    problem = problem_from(*result->problem);
  }
  auto update =
      challenge_update(*record, problem ? ChallengeStatus::kInvalid : ChallengeStatus::kValid);
  if (problem) {
    log::info("validation failed", {{"code", problem->code}, {"detail", problem->detail}});
    update.error_json = problem->stored_json();
  } else {
    update.validated_at_ms = result->validated_at_ms;
  }
  // The store is away: validated again then, which does no harm.
  if (!context.backend.store.ask(update)) return backoff_ms(attempt);
  return std::nullopt;
}

Outcome<HttpResponse> start_validation(Context& context, const wire::AuthzRecord& authz,
                                       const wire::ChallengeRecord& record,
                                       const std::string& account_id) {
  if (!context.validations.has_room()) {
    return refuse(Problem::of(ProblemType::kServerInternal, "validations.full",
                              "too many validations are under way")
                      .with_status(503)
                      .retry_after_s(kRetryAfterDefaultS));
  }
  auto reply = context.backend.store.ask(challenge_update(record, ChallengeStatus::kProcessing));
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->authz) return refuse(not_found());
  if (!reply->applied) return challenge_response(context, *reply->authz, record.id);
  resume_validation(context, authz.id, record.id, account_id);
  // Many validations are quick: a client that sees the result at once need not poll.
  if (context.validations.wait(job_key(authz.id, record.id), limits::kQuickValidationMs)) {
    if (auto now = load_authz(context, authz.id, account_id))
      return challenge_response(context, *now, record.id);
  }
  return challenge_response(context, *reply->authz, record.id);
}

Outcome<Bytes> attestation_object(const json::Value& payload) {
  // Malformed: the challenge stays pending (D-D2). Other members are ignored (device-attest-10).
  const auto text = payload.get("attObj");
  if (!text.is_string())
    return refuse(ProblemType::kMalformed, "attobj.missing",
                  "\"attObj\" is missing or not a string");
  auto object = base64url_decode(text.string());
  if (!object || object->empty()) {
    return refuse(ProblemType::kMalformed, "attobj.encoding",
                  "\"attObj\" is not unpadded base64url");
  }
  if (object->size() > limits::kAttestationObjectBytesMax) {
    return refuse(ProblemType::kMalformed, "attobj.size", "\"attObj\" is too large");
  }
  return std::move(*object);
}

// Synchronous (D-A6): the answer is the result.
Outcome<HttpResponse> verify_device(Context& context, const wire::AuthzRecord& authz,
                                    const wire::ChallengeRecord& record, const Account& account,
                                    const json::Value& payload) {
  auto object = attestation_object(payload);
  if (!object) return refuse(object.error());
  auto result = context.backend.attestation.ask(
      wire::DeviceVerify{account.jwk.thumbprint(), authz.identifier, authz.ticket,
                         authz.expires_at_ms, record.token, std::move(*object)});
  if (!result) return refuse(problem_from(result.error()));
  auto update = challenge_update(
      record, result->problem ? ChallengeStatus::kInvalid : ChallengeStatus::kValid);
  std::optional<Problem> problem;
  if (result->problem) {
    problem = problem_from(*result->problem);
    log::info("attestation refused", {{"code", problem->code}, {"detail", problem->detail}});
    update.error_json = problem->stored_json();
  } else {
    update.validated_at_ms = result->validated_at_ms;
  }
  auto stored = context.backend.store.ask(update);
  if (!stored) return refuse(problem_from(stored.error()));
  if (problem) return refuse(std::move(*problem));  // D-D2: the HTTP answer is the error itself
  if (!stored->authz) return refuse(not_found());
  const auto* now = find_challenge(*stored->authz, record.id);
  if (!stored->applied && now != nullptr && now->status == ChallengeStatus::kPending) {
    return refuse(ProblemType::kMalformed, "order.over",
                  "the challenge's order has come to its end");
  }
  return challenge_response(context, *stored->authz, record.id);
}

}  // namespace

Outcome<HttpResponse> authorization(Context& context, const SignedRequest& request) {
  const auto& account_id = request.account->record.id;
  const auto id = request.match.segments[0];
  if (request.is_read()) {
    auto authz = load_authz(context, id, account_id);
    if (!authz) return refuse(authz.error());
    return json_response(200, authz_json(context.urls, *authz, context.clock.utc_ms()));
  }
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  if (document->root().get("status").string() != "deactivated") {
    return refuse(ProblemType::kMalformed, "authz.form",
                  "an authorization takes {\"status\":\"deactivated\"} alone");
  }
  auto reply = context.backend.store.ask(
      wire::AuthzUpdate{std::string(id), account_id, AuthzStatus::kDeactivated});
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->authz) return refuse(not_found());
  if (reply->authz->status != AuthzStatus::kDeactivated) {
    return refuse(
        ProblemType::kMalformed, "authz.final",
        "the authorization is " + std::string(to_string(reply->authz->status)) + " and stays so");
  }
  return json_response(200, authz_json(context.urls, *reply->authz, context.clock.utc_ms()));
}

Outcome<HttpResponse> challenge(Context& context, const SignedRequest& request) {
  const auto& account = *request.account;
  auto authz = load_authz(context, request.match.segments[0], account.record.id);
  if (!authz) return refuse(authz.error());
  const auto* record = find_challenge(*authz, request.match.segments[1]);
  if (record == nullptr) return refuse(not_found());
  if (request.is_read()) {  // never triggers a validation (D-A4)
    if (record->status == ChallengeStatus::kProcessing) {
      resume_validation(context, authz->id, record->id, account.record.id);
    }
    return challenge_response(context, *authz, record->id);
  }
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  if (record->status != ChallengeStatus::kPending)
    return challenge_response(context, *authz, record->id);
  const auto status = at_time(authz->status, authz->expires_at_ms, context.clock.utc_ms());
  if (status != AuthzStatus::kPending) {
    return refuse(
        ProblemType::kMalformed, "authz.final",
        "the authorization is " + std::string(to_string(status)) + ": its challenges are over");
  }
  if (record->method == ValidationMethod::kDeviceAttest01) {
    return verify_device(context, *authz, *record, account, document->root());
  }
  return start_validation(context, *authz, *record, account.record.id);
}

void resume_validation(Context& context, const std::string& authz_id,
                       const std::string& challenge_id, const std::string& account_id) {
  const auto posted = context.validations.post(
      job_key(authz_id, challenge_id), [&context, authz_id, challenge_id, account_id](int attempt) {
        return try_validation(context, authz_id, challenge_id, account_id, attempt);
      });
  // Full: the periodic look at the store, or the client's next poll, takes the challenge up.
  if (!posted) log::warning("validation not queued", {{"why", posted.error().what}});
}

}  // namespace keyward::acme
