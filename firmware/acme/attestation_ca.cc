#include "firmware/acme/attestation_ca.h"

#include "firmware/acme/account_resources.h"
#include "firmware/acme/certificate_resources.h"
#include "firmware/log/log.h"

namespace keyward::acme {
namespace {

// At attestation. What was issued in a session outlives it: a client whose answer was lost asks
// again, and only the signer knows whether it issued. It does so on its grant alone, never on this.
constexpr std::string_view kSessionOver = "session.expired";

// The same work as an order's, so it counts as one.
Outcome<void> admit(Context& context, const SignedRequest& request) {
  return context.rates.admit(
      {{Rate::kOrdersPerAccount, request.account->record.id}, {Rate::kOrders, {}}});
}

Problem refused(const wire::ChallengeProblem& problem) {
  log::info("attestation key refused", {{"code", problem.code}, {"detail", problem.detail}});
  return problem_from(problem);
}

}  // namespace

Outcome<HttpResponse> ak_begin(Context& context, const SignedRequest& request) {
  if (auto ok = payload_object(request); !ok) return refuse(std::move(ok.error()));
  if (auto ok = admit(context, request); !ok) return refuse(std::move(ok.error()));
  auto reply = context.backend.attestation.ask(
      wire::AkBegin{request.account->jwk.thumbprint(), request.verified.payload()});
  if (!reply) return refuse(problem_from(reply.error()));
  if (reply->problem) return refuse(refused(*reply->problem));
  return json_response(200, std::move(reply->answer_json));
}

Outcome<HttpResponse> ak_activate(Context& context, const SignedRequest& request) {
  if (auto ok = payload_object(request); !ok) return refuse(std::move(ok.error()));
  if (auto ok = admit(context, request); !ok) return refuse(std::move(ok.error()));
  const Account& account = *request.account;
  auto activated = context.backend.attestation.ask(
      wire::AkActivate{account.jwk.thumbprint(), request.verified.payload()});
  if (!activated) return refuse(problem_from(activated.error()));
  const auto& problem = activated->problem;
  const bool over = problem && problem->code == kSessionOver;
  if (problem && !over) return refuse(refused(*problem));
  auto issued = context.backend.signer.ask(wire::AkIssue{account.record.jwk, request.original},
                                           limits::kPeerCallSlowMs);
  if (!issued && over && issued.error().kind == wire::FailureKind::kRefused)
    return refuse(refused(*problem));
  if (!issued) return refuse(problem_from(issued.error()));
  return chain_response(context, issued->chain, request.accept);
}

}  // namespace keyward::acme
