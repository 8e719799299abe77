#include "firmware/acme/authz_resources.h"

#include "firmware/acme/account_resources.h"
#include "firmware/acme/authorizing.h"
#include "firmware/acme/challenge_resources.h"
#include "firmware/acme/states.h"
#include "firmware/identifier/identifier.h"

namespace keyward::acme {
namespace {

// What the client wants to prove before any order (§7.4.1).
Outcome<Wanted> wanted_from(const Context& context, const json::Value& member) {
  const auto type_name = member.get("type");
  const auto value = member.get("value");
  if (!type_name.is_string() || !value.is_string()) {
    return refuse(ProblemType::kMalformed, "authz.identifier",
                  "\"identifier\" needs \"type\" and \"value\", both strings");
  }
  const auto type = identifier::type_from(type_name.string());
  if (!type) {
    return refuse(ProblemType::kUnsupportedIdentifier, "identifier-unsupported",
                  "identifiers of this type are not known here");
  }
  if (!is_name(*type)) {  // §7.4.1: 403 for what the server is unwilling to do
    return refuse(ProblemType::kRejectedIdentifier, "authz.type",
                  "only names and addresses can be authorized before an order");
  }
  auto identifier = identifier::canonical(*type, value.string());
  if (!identifier)
    return refuse(ProblemType::kMalformed, "identifier-malformed", identifier.error().what);
  if (identifier::is_wildcard(*identifier)) {
    return refuse(ProblemType::kMalformed, "authz.wildcard",
                  "a wildcard cannot be authorized before an order");
  }
  Wanted wanted{std::move(*identifier), false};
  wanted.subtree = context.config.subdomain_auth && *type == wire::IdentifierType::kDns &&
                   member.get("subdomainAuthAllowed").boolean();
  return wanted;
}

// In the part of the server where it was asked for: an order of another tenant may rely on an
// authorization that the account made in its own.
HttpResponse authz_response(const Context& context, const SignedRequest& request, int status,
                            const wire::AuthzRecord& authz) {
  const auto urls = context.urls.of(request.match.tenant);
  auto response = json_response(status, authz_json(urls, authz, context.clock.utc_ms()));
  if (status == 201) response.headers.emplace_back("Location", urls.authz(authz.id));
  return response;
}

// The signer forgets the proof before the store says that it is void: were the order of the two
// the other one, a crash between them would leave a grant behind a deactivated authorization.
Outcome<HttpResponse> deactivate(Context& context, const SignedRequest& request,
                                 const wire::AuthzRecord& authz) {
  const auto& account = *request.account;
  auto identifier = canonical_of(authz);
  if (!identifier) return refuse(std::move(identifier.error()));
  auto withdrawn = context.backend.signer.ask(
      wire::GrantWithdraw{account.record.jwk, request.original, std::move(*identifier)});
  if (!withdrawn) return refuse(problem_from(withdrawn.error()));
  auto reply = context.backend.store.ask(
      wire::AuthzUpdate{authz.id, account.record.id, AuthzStatus::kDeactivated});
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->authz) return refuse(not_found());
  return authz_response(context, request, 200, *reply->authz);
}

}  // namespace

Outcome<wire::AuthzRecord> load_authz(Context& context, std::string_view id,
                                      const std::string& account_id) {
  auto reply = context.backend.store.ask(wire::AuthzGet{std::string(id), account_id});
  if (!reply) return refuse(problem_from(reply.error()));
  if (!reply->authz) return refuse(not_found());
  return std::move(*reply->authz);
}

Outcome<wire::Identifier> canonical_of(const wire::AuthzRecord& authz) {
  const auto type = authz.identifier.type;
  if (type != wire::IdentifierType::kRemoteAttestation && type != wire::IdentifierType::kMac)
    return authz.identifier;
  auto canonical = identifier::canonical(type, authz.identifier.value);
  if (!canonical) {
    return refuse(ProblemType::kServerInternal, "authz.corrupt",
                  "the authorization's identifier cannot be read any more");
  }
  return std::move(*canonical);
}

// Always a new authorization: the text wants a new URL and 201 (§7.4.1). Whether a name is within
// the installation's trees is the signer's to say, at newOrder; until then nothing is gained by it.
Outcome<HttpResponse> new_authz(Context& context, const SignedRequest& request) {
  const Account& account = *request.account;
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  auto wanted = wanted_from(context, document->root().get("identifier"));
  if (!wanted) return refuse(wanted.error());
  // The same work as an order's, so it counts as one.
  if (auto ok =
          context.rates.admit({{Rate::kOrdersPerAccount, account.record.id}, {Rate::kOrders, {}}});
      !ok)
    return refuse(std::move(ok.error()));
  auto info = issuer_info(context);
  if (!info) return refuse(problem_from(info.error()));
  auto methods = methods_for((*info)->profiles, *wanted);
  const AuthzPlan plan{std::move(*wanted), std::move(methods)};
  auto authz =
      make_authz(context, account, plan, "", context.clock.utc_ms() + limits::kOrderLifetimeMs);
  if (authz) authz->tenant = account.record.tenant;
  if (!authz) {
    auto& why = authz.error();
    return refuse(why.gone ? std::move(*why.gone) : Problem::about({std::move(*why.fault)}));
  }
  auto stored = context.backend.store.ask(wire::AuthzPut{*authz});
  if (!stored) return refuse(problem_from(stored.error()));
  return authz_response(context, request, 201, *authz);
}

Outcome<HttpResponse> authorization(Context& context, const SignedRequest& request) {
  if (request.is_read()) {
    auto authz = load_authz(context, request.match.segments[0], request.account->record.id);
    if (!authz) return refuse(authz.error());
    return authz_response(context, request, 200, *authz);
  }
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  const bool token = context.config.jwt_at_authorization && document->root().get("jwt").exists();
  if (!token && document->root().get("status").string() != "deactivated") {
    return refuse(ProblemType::kMalformed, "authz.form",
                  "an authorization takes {\"status\":\"deactivated\"} alone");
  }
  auto authz = load_authz(context, request.match.segments[0], request.account->record.id);
  if (!authz) return refuse(authz.error());
  if (token) {
    auto now = vendor_jwt(context, request, *authz, document->root());
    if (!now) return refuse(std::move(now.error()));
    return authz_response(context, request, 200, *now);
  }
  const auto status = at_time(authz->status, authz->expires_at_ms, context.clock.utc_ms());
  if (!may_change(status, AuthzStatus::kDeactivated)) {
    return refuse(ProblemType::kMalformed, "authz.final",
                  "the authorization is " + std::string(to_string(status)) + " and stays so");
  }
  return deactivate(context, request, *authz);
}

}  // namespace keyward::acme
