#include "firmware/acme/authorizing.h"

#include <algorithm>

#include "firmware/acme/states.h"
#include "firmware/identifier/identifier.h"
#include "firmware/json/json.h"
#include "firmware/log/log.h"
#include "hal/base/rng.h"

namespace keyward::acme {
namespace {

using wire::ValidationMethod;

constexpr std::size_t kAncestorsMax = 8;  // looked for above one name (RFC 9444)

// A token, and what the task that minted it wants shown beside it.
struct Minted {
  std::string token;
  std::vector<std::string> claims_hint{};
  std::optional<std::string> evidence_kid{};
};

Answer<Minted> mint_token(Context& context, const Account& account, const AuthzPlan& plan,
                          const wire::AuthzRecord& authz, ValidationMethod method) {
  const auto thumbprint = account.jwk.thumbprint();
  if (method == ValidationMethod::kPossession01) {
    auto reply = context.backend.signer.ask(
        wire::PossessionMint{thumbprint, authz.identifier, authz.expires_at_ms});
    if (!reply) return tl::unexpected<wire::Failure>(std::move(reply.error()));
    return Minted{std::move(reply->token)};
  }
  if (is_synchronous(method) || method == ValidationMethod::kRemoteAttest01) {
    auto reply = context.backend.attestation.ask(
        wire::DeviceTokenMint{thumbprint, plan.wanted.identifier, authz.ticket, authz.expires_at_ms,
                              method, plan.profile});
    if (!reply) return tl::unexpected<wire::Failure>(std::move(reply.error()));
    return Minted{std::move(reply->token), std::move(reply->claims_hint),
                  std::move(reply->evidence_kid)};
  }
  auto reply = context.backend.validation.ask(
      wire::NameTokenMint{thumbprint, authz.identifier, authz.wildcard, authz.ticket, method,
                          authz.expires_at_ms, authz.subtree});
  if (!reply) return tl::unexpected<wire::Failure>(std::move(reply.error()));
  return Minted{std::move(reply->token)};
}

// The members that this method shows beside "type", "url", "status" and "token".
std::optional<std::string> data_of(const Context& context, const Minted& minted,
                                   ValidationMethod method) {
  const auto& config = context.config;
  json::Writer out;
  if (method == ValidationMethod::kRemoteAttest01) {  // draft-ietf-acme-rats; D-R3, D-R9
    out.begin_object().member("freshness_nonce", minted.token);
    if (!minted.claims_hint.empty()) {
      out.key("attestClaimsHint").begin_array();
      for (const auto& claim : minted.claims_hint) out.string(claim);
      out.end_array();
    }
    if (minted.evidence_kid) {
      out.member("verifierEncryptionCredential", context.urls.evidence_key(*minted.evidence_kid));
    }
    out.end_object();
    return out.take();
  }
  if (method == ValidationMethod::kTkauth01) {  // RFC 9447 §3
    out.begin_object().member("tkauth-type", "atc");
    if (!config.token_authority.empty()) out.member("token-authority", config.token_authority);
    out.end_object();
    return out.take();
  }
  if (method == ValidationMethod::kDnsPersist01) {
    out.begin_object().key("issuerDomainNames").begin_array();
    for (const auto& name : config.persist_issuers) out.string(name);
    out.end_array().end_object();
    return out.take();
  }
  return std::nullopt;
}

// Without its issuer names a dns-persist-01 challenge cannot be answered.
bool is_configured(const ServiceConfig& config, ValidationMethod method) {
  return method != ValidationMethod::kDnsPersist01 || !config.persist_issuers.empty();
}

Subproblem no_method(const Wanted& wanted) {
  const auto& identifier = wanted.identifier;
  if (identifier::is_wildcard(identifier)) {
    return {ProblemType::kRejectedIdentifier, "identifier.wildcard",
            "wildcard names cannot be proved to this server under this profile", identifier};
  }
  if (identifier.type == wire::IdentifierType::kDns) {
    return {ProblemType::kRejectedIdentifier, "identifier.no-method",
            "no challenge of this profile can prove this name here", identifier};
  }
  return {ProblemType::kUnsupportedIdentifier, "identifier.type",
          "identifiers of this type cannot be proved to this server under this profile",
          identifier};
}

// At the task that would prove it: no fault of anybody's.
bool is_switched_off(const wire::Failure& failure) {
  return failure.code == "method-unsupported" || failure.code == "possession-off" ||
         failure.code == "possession-identifier";
}

bool is_about_identifier(const wire::Failure& failure) {
  return failure.kind == wire::FailureKind::kBadInput ||
         failure.kind == wire::FailureKind::kRefused;
}

const wire::ChallengeRecord* valid_challenge(const wire::AuthzRecord& authz) {
  const auto at = std::find_if(
      authz.challenges.begin(), authz.challenges.end(),
      [](const auto& challenge) { return challenge.status == wire::ChallengeStatus::kValid; });
  return at == authz.challenges.end() ? nullptr : &*at;
}

bool covers(const wire::AuthzRecord& authz, const AuthzPlan& plan) {
  const auto& wanted = plan.wanted;
  const auto& identifier = wanted.identifier;
  if (wanted.subtree && !authz.subtree) return false;
  const bool wildcard = identifier::is_wildcard(identifier);
  if (authz.identifier == identifier::without_wildcard(identifier))
    return authz.wildcard == wildcard;
  // RFC 9444: of a name above. A wildcard needs its own proof.
  const bool reaches = authz.subtree || (plan.above_serves && !authz.wildcard);
  return reaches && !wildcard && identifier.type == wire::IdentifierType::kDns &&
         authz.identifier.type == wire::IdentifierType::kDns &&
         identifier::is_within(identifier.value, authz.identifier.value);
}

void add_once(std::vector<wire::Identifier>& list, wire::Identifier identifier) {
  if (list.size() == limits::kIdentifiersPerOrderMax) return;
  if (std::find(list.begin(), list.end(), identifier) == list.end())
    list.push_back(std::move(identifier));
}

std::vector<wire::Identifier> looked_for(const ServiceConfig& config,
                                         const std::vector<AuthzPlan>& plans) {
  std::vector<wire::Identifier> out;
  for (const auto& plan : plans) {
    if (is_name(plan.wanted.identifier.type)) add_once(out, plan.wanted.identifier);
  }
  for (const auto& plan : plans) {
    if (!config.subdomain_auth && !plan.above_serves) continue;
    auto name = plan.wanted.identifier;
    if (name.type != wire::IdentifierType::kDns || identifier::is_wildcard(name)) continue;
    for (std::size_t i = 0; i < kAncestorsMax; ++i) {
      const auto dot = name.value.find('.');
      if (dot == std::string::npos) break;
      name.value.erase(0, dot + 1);
      if (name.value.find('.') == std::string::npos) break;
      add_once(out, name);
    }
  }
  return out;
}

// A simulator may let some chances pass, so that clients meet both cases.
bool taken(int percent) { return percent >= 100 || random_bytes(1)[0] * 100 < percent * 256; }

}  // namespace

tl::expected<wire::AuthzRecord, NotAuthorized> make_authz(Context& context, const Account& account,
                                                          const AuthzPlan& plan,
                                                          const std::string& ticket,
                                                          std::int64_t expires_at_ms) {
  wire::AuthzRecord authz;
  authz.id = random_id();
  authz.account_id = account.record.id;
  authz.ticket = ticket;
  authz.identifier = identifier::without_wildcard(plan.wanted.identifier);
  if (!plan.written.empty()) authz.identifier.value = plan.written;
  authz.wildcard = identifier::is_wildcard(plan.wanted.identifier);
  authz.subtree = plan.wanted.subtree;
  authz.status = AuthzStatus::kPending;
  authz.expires_at_ms = expires_at_ms;
  for (const auto method : plan.methods) {
    if (!is_configured(context.config, method)) continue;
    auto minted = mint_token(context, account, plan, authz, method);
    if (!minted) {
      const auto& failure = minted.error();
      if (is_switched_off(failure)) continue;
      NotAuthorized not_made;
      const auto problem = problem_from(failure);
      if (is_about_identifier(failure)) {
        not_made.fault =
            Subproblem{problem.type, problem.code, problem.detail, plan.wanted.identifier};
      } else {
        not_made.gone = problem;
      }
      return tl::unexpected<NotAuthorized>(std::move(not_made));
    }
    wire::ChallengeRecord challenge;
    challenge.id = random_id();
    challenge.authz_id = authz.id;
    challenge.method = method;
    challenge.status = ChallengeStatus::kPending;
    challenge.data_json = data_of(context, *minted, method);
    challenge.token = std::move(minted->token);
    authz.challenges.push_back(std::move(challenge));
  }
  if (authz.challenges.empty())
    return tl::unexpected<NotAuthorized>(NotAuthorized{no_method(plan.wanted), std::nullopt});
  return authz;
}

bool serves(const wire::AuthzRecord& authz, const AuthzPlan& plan, std::int64_t live_until_ms) {
  if (!is_name(plan.wanted.identifier.type)) return false;  // D-A9
  if (authz.status != AuthzStatus::kValid || authz.expires_at_ms < live_until_ms) return false;
  if (!authz.ticket.empty() || !covers(authz, plan)) return false;
  const auto* proved = valid_challenge(authz);
  return proved != nullptr &&
         std::find(plan.methods.begin(), plan.methods.end(), proved->method) != plan.methods.end();
}

Answer<std::vector<wire::AuthzRecord>> find_reusable(Context& context, const Account& account,
                                                     const std::vector<AuthzPlan>& plans) {
  std::vector<wire::AuthzRecord> out(plans.size());
  if (!context.config.authz_reuse || !taken(context.config.authz_reuse_percent)) return out;
  wire::AuthzFind find{account.record.id, looked_for(context.config, plans)};
  if (find.identifiers.empty()) return out;
  auto reply = context.backend.store.ask(find);
  if (!reply) return tl::unexpected<wire::Failure>(std::move(reply.error()));
  const auto live_until_ms = context.clock.utc_ms() + context.config.authz_reuse_ms;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    for (const auto& authz : reply->authorizations) {
      if (authz.account_id != account.record.id || !serves(authz, plans[i], live_until_ms))
        continue;
      out[i] = authz;
      if (authz.identifier == plans[i].wanted.identifier) break;  // its own before one above
    }
  }
  return out;
}

void revoke_proofs(Context& context, const wire::OrderRecord& order) {
  auto found = context.backend.store.ask(wire::OrderGet{order.ticket, order.account_id});
  if (!found) return;
  for (const auto& id : found->authz_ids) {
    auto reply = context.backend.store.ask(
        wire::AuthzUpdate{id, order.account_id, wire::AuthzStatus::kRevoked});
    if (!reply) log::info("authorization kept", {{"code", reply.error().code}});
  }
}

}  // namespace keyward::acme
