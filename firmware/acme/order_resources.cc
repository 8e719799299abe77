#include "firmware/acme/order_resources.h"

#include <algorithm>
#include <map>

#include "firmware/acme/account_resources.h"
#include "firmware/acme/authorizing.h"
#include "firmware/acme/issuing.h"
#include "firmware/acme/renewal_info.h"
#include "firmware/acme/star.h"
#include "firmware/acme/states.h"
#include "firmware/identifier/identifier.h"

namespace keyward::acme {
namespace {

HttpResponse order_response(const Context& context, const Account& account, int status,
                            const wire::OrderRecord& order,
                            const std::vector<std::string>& authz_ids) {
  const auto terms = wire::decode_body<wire::OrderTerms>(order.terms);
  const auto urls = context.urls.of(account.record.tenant);
  auto response = json_response(
      status,
      order_json(urls, order, authz_ids, terms ? &*terms : nullptr, context.clock.utc_ms()));
  response.headers.emplace_back("Location", urls.order(order.ticket));
  if (order.status == OrderStatus::kProcessing) {
    response.headers.emplace_back("Retry-After", std::to_string(context.config.order_poll_s));
  }
  return response;
}

// The names above the ordered ones that the client offers to prove instead (RFC 9444 §5.2), by the
// ordered identifier. Only what was ordered counts: the signer read that from the same payload.
using Ancestors = std::map<wire::Identifier, wire::Identifier>;
Outcome<Ancestors> ancestors_in(const json::Value& payload) {
  Ancestors out;
  for (const auto& item : payload.get("identifiers").items()) {
    const auto member = item.get("ancestorDomain");
    if (!member.exists()) continue;
    const auto type = identifier::type_from(item.get("type").string());
    if (!type) continue;  // refused by the signer already
    auto name = identifier::canonical(*type, item.get("value").string());
    auto above = identifier::canonical(wire::IdentifierType::kDns, member.string());
    const bool fits =
        name && above && *type == wire::IdentifierType::kDns && !identifier::is_wildcard(*above) &&
        name->value != above->value &&
        identifier::is_within(identifier::without_wildcard(*name).value, above->value);
    if (!fits) {
      return refuse(ProblemType::kMalformed, "identifier.ancestor",
                    "\"ancestorDomain\" is no name above its identifier");
    }
    out.insert_or_assign(std::move(*name), std::move(*above));
  }
  return out;
}

// What the client wrote, by its canonical form, where the two may differ and its own is shown again:
// hints of remote attestations, whose `-` and `_` are equal (D-R1, D-R4), and MAC addresses (D-T1).
using Written = std::map<wire::Identifier, std::string>;
Outcome<Written> written_in(const SignedRequest& request) {
  Written out;
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  for (const auto& item : document->root().get("identifiers").items()) {
    const auto type = identifier::type_from(item.get("type").string());
    const bool kept = type == wire::IdentifierType::kRemoteAttestation ||
                      type == wire::IdentifierType::kMac || type == wire::IdentifierType::kUri;
    if (!kept) continue;
    const auto value = item.get("value").string();
    auto canonical = identifier::canonical(*type, value);
    if (canonical) out.emplace(std::move(*canonical), value);
  }
  return out;
}

// D-R5: nothing of a remote attestation stands in a certificate.
Problem attestation_alone() {
  return Problem::of(ProblemType::kRejectedIdentifier, "identifier.attestation-alone",
                     "remote attestations alone name nothing that a certificate could be for");
}

// The signer would say that no profile takes such an order, which tells a client less.
Outcome<void> check_not_alone(const SignedRequest& request) {
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  const auto items = document->root().get("identifiers").items();
  const bool alone = std::all_of(items.begin(), items.end(), [](const json::Value& item) {
    return identifier::type_from(item.get("type").string()) ==
           wire::IdentifierType::kRemoteAttestation;
  });
  if (alone && !items.empty()) return refuse(attestation_alone());
  return {};
}

std::string as_written(const Written& written, const wire::Identifier& identifier) {
  const auto at = written.find(identifier);
  return at == written.end() ? identifier.value : at->second;
}

// D-R4: one more authorization for each hint that the profile asks for, whether the client offered
// it or not. The signer's gate asks for them whatever stands here.
void plan_attestations(const wire::OrderTerms& terms, const wire::ProfileInfo& profile,
                       const Written& written, std::vector<AuthzPlan>& plans) {
  auto hints = terms.attestations.value_or(std::vector<std::string>());
  hints.insert(hints.end(), profile.attestations.begin(), profile.attestations.end());
  for (const auto& hint : hints) {
    const Wanted wanted{{wire::IdentifierType::kRemoteAttestation, hint}, false};
    const auto same = [&](const AuthzPlan& plan) { return plan.wanted == wanted; };
    if (std::any_of(plans.begin(), plans.end(), same)) continue;
    plans.push_back({wanted,
                     {wire::ValidationMethod::kRemoteAttest01},
                     terms.profile,
                     as_written(written, wanted.identifier)});
  }
}

// D-T3: nobody proves a service URI itself, but the name of its host or one above. Where the
// profile counts no way to prove names, an authorization for one is had by any other profile's.
Outcome<AuthzPlan> plan_uri(Context& context, const wire::Identifier& uri,
                            const wire::ProfileInfo& profile) {
  auto host = identifier::uri_host(uri);
  if (!host) return refuse(ProblemType::kMalformed, "identifier-malformed", host.error().what);
  Wanted wanted{{wire::IdentifierType::kDns, std::move(*host)}, false};
  auto methods = methods_for(profile, wanted);
  if (methods.empty()) {
    auto info = issuer_info(context);
    if (!info) return refuse(problem_from(info.error()));
    methods = methods_for((*info)->profiles, wanted);
  }
  std::erase(methods,
             wire::ValidationMethod::kPossession01);  // the signer counts it for no service
  AuthzPlan plan{std::move(wanted), std::move(methods), profile.name};
  plan.above_serves = true;
  return plan;
}

// One plan for each authorization that the order needs.
Outcome<std::vector<AuthzPlan>> plan_order(Context& context, const SignedRequest& request,
                                           const wire::OrderTerms& terms,
                                           const wire::ProfileInfo& profile,
                                           const Written& written) {
  Ancestors ancestors;
  if (context.config.subdomain_auth) {
    auto document = payload_object(request);
    if (!document) return refuse(document.error());
    auto found = ancestors_in(document->root());
    if (!found) return refuse(found.error());
    ancestors = std::move(*found);
  }
  std::vector<AuthzPlan> plans;
  for (const auto& identifier : terms.identifiers) {
    if (identifier.type == wire::IdentifierType::kRemoteAttestation) continue;  // an offer (D-R4)
    if (identifier.type == wire::IdentifierType::kUri) {
      auto plan = plan_uri(context, identifier, profile);
      if (!plan) return refuse(std::move(plan.error()));
      const auto same = [&](const AuthzPlan& other) { return other.wanted == plan->wanted; };
      if (std::none_of(plans.begin(), plans.end(), same)) plans.push_back(std::move(*plan));
      continue;
    }
    Wanted wanted{identifier, false};
    // A proof of a whole zone does not cover wildcards here: they keep their own.
    const auto above = ancestors.find(identifier);
    if (above != ancestors.end() && !identifier::is_wildcard(identifier))
      wanted = {above->second, true};
    const auto same = [&](const AuthzPlan& plan) { return plan.wanted == wanted; };
    if (std::any_of(plans.begin(), plans.end(), same)) continue;
    auto methods = methods_for(profile, wanted);
    AuthzPlan plan{std::move(wanted), std::move(methods), terms.profile};
    if (identifier.type == wire::IdentifierType::kMac)
      plan.written = as_written(written, identifier);
    plans.push_back(std::move(plan));
  }
  if (plans.empty()) return refuse(attestation_alone());
  plan_attestations(terms, profile, written, plans);
  if (plans.size() > limits::kIdentifiersPerOrderMax) {
    return refuse(ProblemType::kRejectedIdentifier, "order.authorizations",
                  "the order needs more authorizations than one may have");
  }
  return plans;
}

// Fills the order's authorizations: those that exist, and new ones. Their ids, in the sequence of
// the plans.
Outcome<std::vector<std::string>> authorize(Context& context, const Account& account,
                                            const std::vector<AuthzPlan>& plans,
                                            wire::OrderPut& put) {
  auto known = find_reusable(context, account, plans);
  if (!known) return refuse(problem_from(known.error()));
  std::vector<std::string> ids;
  std::vector<Subproblem> faults;
  auto ends_at_ms = put.order.expires_at_ms;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const auto& reused = (*known)[i].id;
    if (!reused.empty()) {
      ends_at_ms = std::min(ends_at_ms, (*known)[i].expires_at_ms);
      if (std::find(ids.begin(), ids.end(), reused) != ids.end()) continue;  // of a name above
      ids.push_back(reused);
      put.reused_ids.push_back(reused);
      continue;
    }
    // D-A9: what proves a name may serve further orders, what proves a device never does.
    const bool shared = context.config.authz_reuse && is_name(plans[i].wanted.identifier.type);
    auto authz = make_authz(context, account, plans[i], shared ? "" : put.order.ticket,
                            put.order.expires_at_ms);
    if (!authz) {
      if (authz.error().gone) return refuse(std::move(*authz.error().gone));
      faults.push_back(std::move(*authz.error().fault));
      continue;
    }
    authz->tenant = put.order.tenant;
    ids.push_back(authz->id);
    put.authorizations.push_back(std::move(*authz));
  }
  if (!faults.empty()) return refuse(Problem::about(std::move(faults)));
  put.order.expires_at_ms = ends_at_ms;  // no longer than what it relies on
  return ids;
}

// The profile as the signer holds it. It may have been given after the last look.
Outcome<wire::ProfileInfo> profile_named(Context& context, const std::string& name) {
  auto info = issuer_info(context);
  if (!info) return refuse(problem_from(info.error()));
  if (const auto* known = find_profile((*info)->profiles, name)) return *known;
  auto fresh = context.backend.signer.ask(wire::IssuerGet{});
  if (!fresh) return refuse(problem_from(fresh.error()));
  context.issuer.set(std::move(*fresh));
  const auto now = context.issuer.get();
  if (const auto* known = find_profile(now->profiles, name)) return *known;
  return refuse(ProblemType::kInvalidProfile, "profile-unknown", "there is no such profile");
}

Outcome<std::optional<std::string>> replaced_by_order(Context& context,
                                                      const SignedRequest& request,
                                                      const wire::OrderTerms& terms) {
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  return check_replaces(context, *request.account, document->root(), terms.identifiers);
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
  if (auto ok =
          context.rates.admit({{Rate::kOrdersPerAccount, account.record.id}, {Rate::kOrders, {}}});
      !ok)
    return refuse(std::move(ok.error()));
  if (auto ok = check_not_alone(request); !ok) return refuse(std::move(ok.error()));
  auto minted = context.backend.signer.ask(wire::TicketMint{account.record.jwk, request.original});
  if (!minted) return refuse(problem_from(minted.error()));
  auto terms = wire::decode_body<wire::OrderTerms>(minted->terms);
  if (!terms || terms->identifiers.empty()) {
    return refuse(ProblemType::kServerInternal, "ticket.terms",
                  "the signer's terms cannot be read");
  }
  if (terms->tenant.value_or("") != request.match.tenant) {
    return refuse(ProblemType::kServerInternal, "ticket.tenant",
                  "the signer has read another tenant out of the request");
  }
  auto profile = profile_named(context, terms->profile);
  if (!profile) return refuse(profile.error());
  const auto written = written_in(request);
  if (!written) return refuse(written.error());
  auto plans = plan_order(context, request, *terms, *profile, *written);
  if (!plans) return refuse(plans.error());
  auto replaces = replaced_by_order(context, request, *terms);
  if (!replaces) return refuse(replaces.error());
  wire::OrderPut put;
  put.order.ticket = minted->ticket;
  put.order.account_id = account.record.id;
  put.order.status = OrderStatus::kPending;
  put.order.expires_at_ms = minted->expires_at_ms;
  put.order.terms = std::move(minted->terms);
  put.order.tenant = terms->tenant;
  put.order.replaces = std::move(*replaces);
  if (terms->star) put.order.certificate_get = terms->star->certificate_get;
  put.order.identifiers = std::move(terms->identifiers);
  for (auto& identifier : put.order.identifiers)
    identifier.value = as_written(*written, identifier);
  auto ids = authorize(context, account, *plans, put);
  if (!ids) return refuse(ids.error());
  // All of it was proved before: nothing is left to do (§7.1.6).
  if (put.authorizations.empty() && !put.reused_ids.empty()) put.order.status = OrderStatus::kReady;
  auto stored = context.backend.store.ask(put);
  if (!stored) return refuse(problem_from(stored.error()));
  return order_response(context, account, 201, put.order, *ids);
}

Outcome<HttpResponse> order(Context& context, const SignedRequest& request) {
  if (!request.is_read()) {
    if (auto ok = cancel_order(context, request); !ok) return refuse(ok.error());
  }
  auto reply = context.backend.store.ask(
      wire::OrderGet{std::string(request.match.segments[0]), request.account->record.id});
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->order) return refuse(not_found());
  if (reply->order->status == OrderStatus::kProcessing) {
    resume_issuance(context, reply->order->ticket, reply->order->account_id);
  }
  return order_response(context, *request.account, 200, *reply->order, reply->authz_ids);
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
  return order_response(context, *request.account, 200, step.order, found->authz_ids);
}

}  // namespace keyward::acme
