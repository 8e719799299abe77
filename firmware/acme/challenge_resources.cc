#include "firmware/acme/challenge_resources.h"

#include <algorithm>

#include "firmware/acme/account_resources.h"
#include "firmware/acme/authz_resources.h"
#include "firmware/acme/methods.h"
#include "firmware/acme/remote_attestation.h"
#include "firmware/acme/states.h"
#include "firmware/acme/validating.h"
#include "firmware/jose/jws.h"
#include "firmware/log/log.h"

namespace keyward::acme {
namespace {

using wire::ValidationMethod;

// One challenge of the requester's, as it was found.
struct Asked {
  const SignedRequest& request;
  const Account& account;
  const wire::AuthzRecord& authz;
  const wire::ChallengeRecord& record;
};

// What a synchronous method said.
struct Verdict {
  std::optional<wire::ChallengeProblem> problem;
  std::int64_t validated_at_ms = 0;
  std::int64_t grant_expires_at_ms = 0;
};
template <class Reply>
Verdict verdict_of(Reply reply) {
  return {std::move(reply.problem), reply.validated_at_ms, reply.grant_expires_at_ms};
}

Outcome<HttpResponse> challenge_response(const Context& context, const SignedRequest& request,
                                         const wire::AuthzRecord& authz, std::string_view id) {
  const auto* record = find_challenge(authz, id);
  if (record == nullptr) return refuse(not_found());
  const auto urls = context.urls.of(request.match.tenant);
  auto response = json_response(200, challenge_json(urls, *record));
  response.headers.emplace_back("Link", "<" + urls.authz(authz.id) + ">;rel=\"up\"");
  if (record->status == ChallengeStatus::kProcessing) {
    response.headers.emplace_back("Retry-After", std::to_string(context.config.order_poll_s));
  }
  return response;
}

// The answer as it stands a moment later: a client that sees the result at once need not poll.
Outcome<HttpResponse> after_a_moment(Context& context, const SignedRequest& request,
                                     const wire::AuthzRecord& authz,
                                     const std::string& challenge_id) {
  if (wait_for_validation(context, authz.id, challenge_id)) {
    if (auto now = load_authz(context, authz.id, authz.account_id))
      return challenge_response(context, request, *now, challenge_id);
  }
  return challenge_response(context, request, authz, challenge_id);
}

// `answer`: what a later look needs of the request; none for names.
Outcome<HttpResponse> start_validation(Context& context, const Asked& asked,
                                       std::optional<Bytes> answer) {
  if (!context.validations.has_room()) {
    return refuse(Problem::of(ProblemType::kServerInternal, "validations.full",
                              "too many validations are under way")
                      .with_status(503)
                      .retry_after_s(kRetryAfterDefaultS));
  }
  auto update = challenge_update(asked.record, ChallengeStatus::kProcessing);
  update.answer = std::move(answer);
  auto reply = context.backend.store.ask(update);
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->authz) return refuse(not_found());
  if (!reply->applied)
    return challenge_response(context, asked.request, *reply->authz, asked.record.id);
  resume_validation(context, asked.authz.id, asked.record.id, asked.account.record.id);
  return after_a_moment(context, asked.request, *reply->authz, asked.record.id);
}

// A member that is unpadded base64url of at most `bytes_max` octets. Malformed: the challenge stays
// pending (D-D2). Other members are ignored (RFC 8555 §7.5.1).
Outcome<Bytes> octets_member(const json::Value& payload, std::string_view name,
                             std::string_view code, std::size_t bytes_max) {
  const std::string quoted = "\"" + std::string(name) + "\"";
  const auto text = payload.get(name);
  if (!text.is_string()) {
    return refuse(ProblemType::kMalformed, std::string(code) + ".missing",
                  quoted + " is missing or not a string");
  }
  auto octets = base64url_decode(text.string());
  if (!octets || octets->empty()) {
    return refuse(ProblemType::kMalformed, std::string(code) + ".encoding",
                  quoted + " is not unpadded base64url");
  }
  if (octets->size() > bytes_max)
    return refuse(ProblemType::kMalformed, std::string(code) + ".size", quoted + " is too large");
  return std::move(*octets);
}

Outcome<Verdict> verify_device(Context& context, const Asked& asked, const json::Value& payload) {
  auto object = octets_member(payload, "attObj", "attobj", limits::kAttestationObjectBytesMax);
  if (!object) return refuse(object.error());
  auto profile = profile_of(context, asked.authz);
  if (!profile) return refuse(problem_from(profile.error()));
  auto reply = context.backend.attestation.ask(
      wire::DeviceVerify{asked.account.jwk.thumbprint(), asked.authz.identifier, asked.authz.ticket,
                         asked.authz.expires_at_ms, asked.record.token, std::move(*object),
                         asked.account.record.earlier_keys, std::move(*profile)});
  if (!reply) return refuse(problem_from(reply.error()));
  return verdict_of(std::move(*reply));
}

// The vendor's token: RFC 9447 §4 names the member; "jwt" is that of the 2019 draft (D-T2).
Outcome<std::string> authority_token(const Asked& asked, const json::Value& payload) {
  const bool vendor = asked.record.method == ValidationMethod::kVendorJwt01;
  const std::string member = vendor ? "jwt" : "tkauth";
  const auto text = payload.get(member);
  if (!text.is_string() || text.string().empty()) {
    return refuse(ProblemType::kMalformed, member + ".missing",
                  "\"" + member + "\" is missing or not a string");
  }
  if (text.string().size() > limits::kAuthorityTokenBytesMax)
    return refuse(ProblemType::kMalformed, member + ".size", "\"" + member + "\" is too large");
  return std::string(text.string());
}

// RFC 9447 §4. Where the token names its certificate by URL, validation fetches it: attestation has
// no network.
Outcome<Verdict> verify_authority(Context& context, const Asked& asked,
                                  const json::Value& payload) {
  auto token = authority_token(asked, payload);
  if (!token) return refuse(std::move(token.error()));
  auto identifier = canonical_of(asked.authz);
  if (!identifier) return refuse(std::move(identifier.error()));
  wire::AuthorityVerify ask{asked.account.jwk.thumbprint(),
                            std::move(*identifier),
                            asked.authz.ticket,
                            asked.authz.expires_at_ms,
                            asked.record.token,
                            std::move(*token),
                            std::nullopt,
                            asked.account.record.earlier_keys,
                            asked.record.method};
  auto reply = context.backend.attestation.ask(ask);
  if (!reply) return refuse(problem_from(reply.error()));
  if (reply->problem || !reply->fetch_url) return verdict_of(std::move(*reply));
  auto fetched =
      context.backend.validation.ask(wire::UrlFetch{*reply->fetch_url}, limits::kPeerCallSlowMs);
  if (!fetched) return refuse(problem_from(fetched.error()));
  if (fetched->problem) return Verdict{std::move(fetched->problem), 0, 0};
  ask.fetched = std::move(fetched->body);
  reply = context.backend.attestation.ask(ask);
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->problem && reply->fetch_url) {
    return refuse(ProblemType::kServerInternal, "authority.fetch-again",
                  "the token's certificate was asked for twice");
  }
  return verdict_of(std::move(*reply));
}

// docs/protocols.md, proof of possession: an inner JWS by the key of an earlier certificate.
Outcome<Verdict> verify_possession(Context& context, const Asked& asked,
                                   const json::Value& payload) {
  const auto inner = payload.get("authorization");
  if (!inner.is_object()) {
    return refuse(ProblemType::kMalformed, "possession.missing",
                  "\"authorization\" is missing or not an object");
  }
  auto jws = jose::FlattenedJws::parse(inner.print());
  if (!jws) return refuse(ProblemType::kMalformed, "possession.form", jws.error().what);
  auto reply = context.backend.signer.ask(wire::PossessionVerify{
      asked.account.record.jwk, asked.authz.identifier, asked.record.token,
      wire::ClientJws{std::move(jws->protected_b64), std::move(jws->payload_b64),
                      std::move(jws->signature)}});
  if (!reply) return refuse(problem_from(reply.error()));
  return verdict_of(std::move(*reply));
}

Outcome<Verdict> verify(Context& context, const Asked& asked, const json::Value& payload) {
  if (asked.record.method == ValidationMethod::kDeviceAttest01)
    return verify_device(context, asked, payload);
  if (asked.record.method == ValidationMethod::kTkauth01 ||
      asked.record.method == ValidationMethod::kVendorJwt01)
    return verify_authority(context, asked, payload);
  return verify_possession(context, asked, payload);
}

// Synchronous (D-A6): the answer is the result, and final.
Outcome<HttpResponse> conclude(Context& context, const Asked& asked, Verdict verdict) {
  auto update = challenge_update(
      asked.record, verdict.problem ? ChallengeStatus::kInvalid : ChallengeStatus::kValid);
  std::optional<Problem> problem;
  if (verdict.problem) {
    problem = problem_from(*verdict.problem);
    log::info("proof refused", {{"code", problem->code}, {"detail", problem->detail}});
    update.error_json = problem->stored_json();
    const auto failures = failure_key(asked.account.record.id, asked.authz.identifier);
    context.rates.charge({{Rate::kFailuresPerName, failures}, {Rate::kFailures, {}}});
  } else {
    update.validated_at_ms = verdict.validated_at_ms;
    if (verdict.grant_expires_at_ms > 0) update.authz_expires_at_ms = verdict.grant_expires_at_ms;
  }
  auto stored = context.backend.store.ask(update);
  if (!stored) return refuse(problem_from(stored.error()));
  // D-D2: the HTTP answer is the error itself, but for clients that were told to expect 200.
  if (problem && !context.config.respond_200_invalid) return refuse(std::move(*problem));
  if (!stored->authz) return refuse(not_found());
  const auto* now = find_challenge(*stored->authz, asked.record.id);
  if (!stored->applied && now != nullptr && now->status == ChallengeStatus::kPending) {
    return refuse(ProblemType::kMalformed, "order.over",
                  "the challenge's order has come to its end");
  }
  return challenge_response(context, asked.request, *stored->authz, asked.record.id);
}

Outcome<HttpResponse> respond(Context& context, const Asked& asked, const json::Value& payload,
                              std::optional<Bytes> answer) {
  const auto& record = asked.record;
  if (record.status == ChallengeStatus::kProcessing) {  // §8.2: the client asks for another try
    if (auto ok = context.rates.admit(Rate::kChallengeRetries, asked.authz.id); !ok)
      return refuse(std::move(ok.error()));
    resume_validation(context, asked.authz.id, record.id, asked.account.record.id);
    hurry_validation(context, asked.authz.id, record.id);
    return after_a_moment(context, asked.request, asked.authz, record.id);
  }
  if (record.status != ChallengeStatus::kPending)
    return challenge_response(context, asked.request, asked.authz, record.id);
  const auto status =
      at_time(asked.authz.status, asked.authz.expires_at_ms, context.clock.utc_ms());
  if (status != AuthzStatus::kPending) {
    return refuse(
        ProblemType::kMalformed, "authz.final",
        "the authorization is " + std::string(to_string(status)) + ": its challenges are over");
  }
  const auto failures = failure_key(asked.account.record.id, asked.authz.identifier);
  if (auto ok = context.rates.check({{Rate::kFailuresPerName, failures}, {Rate::kFailures, {}}});
      !ok)
    return refuse(std::move(ok.error()));
  if (!is_synchronous(record.method)) return start_validation(context, asked, std::move(answer));
  auto verdict = verify(context, asked, payload);
  if (!verdict) return refuse(std::move(verdict.error()));
  return conclude(context, asked, std::move(*verdict));
}

}  // namespace

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
    return challenge_response(context, request, *authz, record->id);
  }
  const Asked asked{request, account, *authz, *record};
  if (record->method == ValidationMethod::kRemoteAttest01) {
    auto answer = remote_answer(request);
    if (!answer) return refuse(std::move(answer.error()));
    return respond(context, asked, json::Value(), std::move(*answer));
  }
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  return respond(context, asked, document->root(), std::nullopt);
}

Outcome<wire::AuthzRecord> vendor_jwt(Context& context, const SignedRequest& request,
                                      const wire::AuthzRecord& authz, const json::Value& payload) {
  const auto at =
      std::find_if(authz.challenges.begin(), authz.challenges.end(),
                   [](const auto& each) { return each.method == ValidationMethod::kVendorJwt01; });
  if (at == authz.challenges.end()) {
    return refuse(ProblemType::kMalformed, "jwt.not-offered",
                  "no token of a vendor proves this authorization");
  }
  const Asked asked{request, *request.account, authz, *at};
  auto response = respond(context, asked, payload, std::nullopt);
  if (!response) return refuse(std::move(response.error()));
  return load_authz(context, authz.id, authz.account_id);
}

}  // namespace keyward::acme
