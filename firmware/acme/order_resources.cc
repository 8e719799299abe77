#include "firmware/acme/order_resources.h"

#include "firmware/acme/account_resources.h"
#include "firmware/acme/issuing.h"
#include "firmware/acme/states.h"
#include "firmware/identifier/identifier.h"
#include "hal/base/rng.h"

namespace keyward::acme {
namespace {

using wire::IdentifierType;
using wire::ValidationMethod;

std::string profile_of(const wire::OrderRecord& order) {
  const auto terms = wire::decode_body<wire::OrderTerms>(order.terms);
  return terms ? terms->profile : std::string();
}

HttpResponse order_response(const Context& context, int status, const wire::OrderRecord& order,
                            const std::vector<std::string>& authz_ids) {
  auto response = json_response(status, order_json(context.urls, order, authz_ids,
                                                   profile_of(order), context.clock.utc_ms()));
  response.headers.emplace_back("Location", context.urls.order(order.ticket));
  if (order.status == OrderStatus::kProcessing) {
    response.headers.emplace_back("Retry-After", std::to_string(context.config.order_poll_s));
  }
  return response;
}

// The one method by which an identifier of this kind can be proved here.
Outcome<ValidationMethod> method_for(const wire::Identifier& identifier) {
  Problem problem;
  switch (identifier.type) {
    case IdentifierType::kDns:
      if (!identifier::is_wildcard(identifier)) return ValidationMethod::kHttp01;
      // RFC 8555 §7.1.3 leaves it to the server; http-01 cannot prove a wildcard.
      problem = Problem::of(ProblemType::kRejectedIdentifier, "identifier.wildcard",
                            "wildcard names cannot be proved to this server");
      break;
    case IdentifierType::kPermanentIdentifier:
      return ValidationMethod::kDeviceAttest01;
    default:
      problem = Problem::of(ProblemType::kUnsupportedIdentifier, "identifier.type",
                            "identifiers of this type cannot be proved to this server");
  }
  return refuse(Problem::about({{problem.type, problem.code, problem.detail, identifier}}));
}

Outcome<std::string> mint_token(Context& context, const Account& account,
                                const wire::AuthzRecord& authz, ValidationMethod method) {
  if (method == ValidationMethod::kDeviceAttest01) {
    auto reply = context.backend.attestation.ask(wire::DeviceTokenMint{
        account.jwk.thumbprint(), authz.identifier, authz.ticket, authz.expires_at_ms});
    if (!reply) return refuse(problem_from(reply.error()));
    return std::move(reply->token);
  }
  auto reply = context.backend.validation.ask(
      wire::NameTokenMint{account.jwk.thumbprint(), authz.identifier, authz.wildcard, authz.ticket,
                          method, authz.expires_at_ms});
  if (!reply) return refuse(problem_from(reply.error()));
  return std::move(reply->token);
}

Outcome<wire::AuthzRecord> make_authz(Context& context, const Account& account,
                                      const wire::OrderRecord& order,
                                      const wire::Identifier& identifier) {
  auto method = method_for(identifier);
  if (!method) return refuse(method.error());
  wire::AuthzRecord authz;
  authz.id = random_id();
  authz.account_id = account.record.id;
  authz.ticket = order.ticket;
  authz.identifier = identifier::without_wildcard(identifier);
  authz.wildcard = identifier::is_wildcard(identifier);
  authz.status = AuthzStatus::kPending;
  authz.expires_at_ms = order.expires_at_ms;
  auto token = mint_token(context, account, authz, *method);
  if (!token) return refuse(token.error());
  wire::ChallengeRecord challenge;
  challenge.id = random_id();
  challenge.authz_id = authz.id;
  challenge.method = *method;
  challenge.status = ChallengeStatus::kPending;
  challenge.token = std::move(*token);
  authz.challenges.push_back(std::move(challenge));
  return authz;
}

// Reads the CSR's place without reading the CSR: the signer does, after it has verified the JWS.
Outcome<void> check_finalize_payload(const SignedRequest& request) {
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  const auto csr = document->root().get("csr");
  if (!csr.is_string())
    return refuse(ProblemType::kMalformed, "finalize.form", "\"csr\" is missing or not a string");
  const auto der = base64url_decode(csr.string());
  if (!der || der->empty()) {
    return refuse(ProblemType::kMalformed, "finalize.encoding",
                  "\"csr\" is not unpadded base64url");
  }
  if (der->size() > limits::kCsrBytesMax)
    return refuse(ProblemType::kBadCsr, "finalize.size", "the CSR is too large");
  return {};
}

Problem not_ready(OrderStatus status) {
  return Problem::of(ProblemType::kOrderNotReady, "order.not-ready",
                     "the order is " + std::string(to_string(status)) + ", not ready");
}

}  // namespace

Outcome<HttpResponse> new_order(Context& context, const SignedRequest& request) {
  const Account& account = *request.account;
  auto minted = context.backend.signer.ask(wire::TicketMint{account.record.jwk, request.original});
  if (!minted) return refuse(problem_from(minted.error()));
  auto terms = wire::decode_body<wire::OrderTerms>(minted->terms);
  if (!terms || terms->identifiers.empty()) {
    return refuse(ProblemType::kServerInternal, "ticket.terms",
                  "the signer's terms cannot be read");
  }
  wire::OrderPut put;
  put.order.ticket = minted->ticket;
  put.order.account_id = account.record.id;
  put.order.status = OrderStatus::kPending;
  put.order.expires_at_ms = minted->expires_at_ms;
  put.order.terms = std::move(minted->terms);
  put.order.identifiers = std::move(terms->identifiers);
  std::vector<std::string> authz_ids;
  for (const auto& identifier : put.order.identifiers) {
    auto authz = make_authz(context, account, put.order, identifier);
    if (!authz) return refuse(authz.error());
    authz_ids.push_back(authz->id);
    put.authorizations.push_back(std::move(*authz));
  }
  auto stored = context.backend.store.ask(put);
  if (!stored) return refuse(problem_from(stored.error()));
  return order_response(context, 201, put.order, authz_ids);
}

Outcome<HttpResponse> order(Context& context, const SignedRequest& request) {
  if (auto ok = require_read(request); !ok) return refuse(ok.error());
  auto reply = context.backend.store.ask(
      wire::OrderGet{std::string(request.match.segments[0]), request.account->record.id});
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->order) return refuse(not_found());
  if (reply->order->status == OrderStatus::kProcessing) {
    resume_issuance(context, reply->order->ticket, reply->order->account_id);
  }
  return order_response(context, 200, *reply->order, reply->authz_ids);
}

Outcome<HttpResponse> finalize(Context& context, const SignedRequest& request) {
  if (request.is_read())
    return refuse(ProblemType::kMalformed, "finalize.form", "finalize wants a CSR");
  if (auto ok = check_finalize_payload(request); !ok) return refuse(ok.error());
  auto found = context.backend.store.ask(
      wire::OrderGet{std::string(request.match.segments[0]), request.account->record.id});
  if (!found) return refuse(problem_from(found.error()));
  if (!found->order) return refuse(not_found());
  wire::OrderRecord order = std::move(*found->order);
  const auto status = at_time(order.status, order.expires_at_ms, context.clock.utc_ms());
  if (status != OrderStatus::kReady) return refuse(not_ready(status));

  const auto guard = context.in_flight.enter(order.ticket);
  if (!guard) return refuse(not_ready(OrderStatus::kProcessing));
  wire::OrderUpdate start;
  start.ticket = order.ticket;
  start.expected = OrderStatus::kReady;
  start.status = OrderStatus::kProcessing;
  start.finalize = request.original;
  auto started = context.backend.store.ask(start);
  if (!started) return refuse(problem_from(started.error()));
  if (!started->applied)
    return refuse(not_ready(started->order ? started->order->status : OrderStatus::kInvalid));
  order.status = OrderStatus::kProcessing;
  order.finalize = request.original;

  auto step = issue(context, *request.account, std::move(order), Audience::kClient);
  if (step.problem) return refuse(std::move(*step.problem));
  if (step.again_ms)
    post_issuance(context, step.order.ticket, step.order.account_id, *step.again_ms);
  return order_response(context, 200, step.order, found->authz_ids);
}

Outcome<HttpResponse> certificate(Context& context, const SignedRequest& request) {
  if (auto ok = require_read(request); !ok) return refuse(ok.error());
  auto reply = context.backend.store.ask(
      wire::CertificateGet{std::string(request.match.segments[0]), request.account->record.id});
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->certificate) return refuse(not_found());
  HttpResponse response;
  response.status = 200;
  response.headers.emplace_back("Content-Type", "application/pem-certificate-chain");
  response.body = chain_pem(reply->certificate->chain);
  return response;
}

}  // namespace keyward::acme
