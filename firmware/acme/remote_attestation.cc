#include "firmware/acme/remote_attestation.h"

#include "firmware/identifier/identifier.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/order_terms.h"

namespace keyward::acme {
namespace {

constexpr std::string_view kJwkMediaType = "application/jwk+json";
// A key that was replaced still opens what was encrypted to it; so long a client may keep it.
constexpr std::string_view kKeyCacheControl = "public, max-age=3600";
constexpr std::string_view kRelayAway = "relay.unavailable";  // of validation's; it may pass

Look failed(const wire::Failure& failure) {
  Look out;
  out.problem = problem_from(failure);
  out.peer_away = fate_of(failure) == OrderFate::kProcessing;
  return out;
}

Look refused(ProblemType type, std::string_view code, std::string_view detail) {
  Look out;
  out.problem = Problem::of(type, code, detail);
  return out;
}

Look decided(const wire::RemoteVerifyReply& reply) {
  Look out;
  if (reply.problem) out.problem = problem_from(*reply.problem);
  out.validated_at_ms = reply.validated_at_ms;
  out.grant_expires_at_ms = reply.grant_expires_at_ms;
  return out;
}

// What another verifier says, in `ask`; a look: it says nothing. Whatever it is, attestation alone
// believes it or not.
std::optional<Look> relay(Context& context, wire::RelayOrder order, wire::RemoteVerify& ask) {
  auto reply = context.backend.validation.ask(
      wire::VerifierRelay{std::move(order.verifier), std::move(order.nonce),
                          std::move(order.media_type), std::move(order.evidence)},
      limits::kPeerCallSlowMs);
  if (!reply) {
    auto out = failed(reply.error());
    out.verifier_away = out.peer_away;  // whichever of the two is away, it has the same patience
    out.peer_away = false;
    return out;
  }
  if (reply->problem) {
    Look out;
    out.problem = problem_from(*reply->problem);
    out.verifier_away = reply->problem->code == kRelayAway;
    return out;
  }
  ask.relayed = std::move(reply->result);
  return std::nullopt;
}

}  // namespace

Outcome<Bytes> remote_answer(const SignedRequest& request) {
  auto document = payload_json(request);
  if (!document) return refuse(std::move(document.error()));
  const auto root = document->root();
  if (!root.is_object() && !root.is_array() && !root.is_string()) {
    return refuse(ProblemType::kMalformed, "evidence.form",
                  "the payload is no JSON object, array or string (D-R2)");
  }
  const bool empty = root.is_object()  ? root.keys().empty()
                     : root.is_array() ? root.items().empty()
                                       : root.string().empty();
  if (empty)
    return refuse(ProblemType::kMalformed, "evidence.missing", "the payload brings no evidence");
  return request.verified.payload();
}

Answer<std::string> profile_of(Context& context, const wire::AuthzRecord& authz) {
  auto found = context.backend.store.ask(wire::OrderGet{authz.ticket, authz.account_id});
  if (!found) return tl::unexpected<wire::Failure>(std::move(found.error()));
  if (!found->order) return std::string();
  auto terms = wire::decode_body<wire::OrderTerms>(found->order->terms);
  return terms ? std::move(terms->profile) : std::string();
}

Look look_at_remote(Context& context, const wire::AuthzRecord& authz,
                    const wire::ChallengeRecord& challenge, const Account& account) {
  auto profile = profile_of(context, authz);
  if (!profile) return failed(profile.error());
  // The store contradicts itself; and shown as the client wrote it, asked as it is compared (D-R1).
  auto hint = identifier::canonical(authz.identifier.type, authz.identifier.value);
  if (!challenge.answer || profile->empty() || !hint) {
    return refused(ProblemType::kServerInternal, "evidence.lost",
                   "the answer or the order of the challenge cannot be read any more");
  }
  wire::RemoteVerify ask;
  ask.thumbprint = account.jwk.thumbprint();
  ask.identifier = std::move(*hint);
  ask.profile = std::move(*profile);
  ask.ticket = authz.ticket;
  ask.expires_at_ms = authz.expires_at_ms;
  ask.token = challenge.token;
  ask.payload = *challenge.answer;
  ask.earlier_keys = account.record.earlier_keys;
  auto reply = context.backend.attestation.ask(ask, limits::kPeerCallSlowMs);
  if (!reply) return failed(reply.error());
  if (reply->problem || !reply->relay) return decided(*reply);
  log::info("evidence goes to another verifier", {{"verifier", reply->relay->verifier}});
  if (auto out = relay(context, std::move(*reply->relay), ask)) return std::move(*out);
  reply = context.backend.attestation.ask(ask, limits::kPeerCallSlowMs);
  if (!reply) return failed(reply.error());
  if (!reply->problem && reply->relay) {
    return refused(ProblemType::kServerInternal, "relay.again",
                   "another verifier was to be asked twice");
  }
  return decided(*reply);
}

Outcome<HttpResponse> evidence_key(Context& context, std::string_view kid) {
  auto reply = context.backend.attestation.ask(wire::EvidenceKeyGet{std::string(kid)});
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->jwk) return refuse(not_found());
  HttpResponse response;
  response.status = 200;
  response.headers.emplace_back("Content-Type", kJwkMediaType);
  response.headers.emplace_back("Cache-Control", kKeyCacheControl);
  response.body = std::move(*reply->jwk);
  return response;
}

}  // namespace keyward::acme
