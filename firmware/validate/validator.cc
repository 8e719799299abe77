#include "firmware/validate/validator.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "firmware/crypto/crypto.h"
#include "firmware/identifier/identifier.h"
#include "firmware/wire/cbor.h"
#include "hal/base/rng.h"

namespace keyward::validate {
namespace {

using wire::FailureKind;
using wire::IdentifierType;
using wire::ValidationMethod;

tl::unexpected<wire::Failure> refuse(FailureKind kind, std::string_view code,
                                     std::string_view detail) {
  return tl::unexpected<wire::Failure>(wire::Failure::of(kind, code, detail));
}

template <class Request>
challenge::TokenBinding binding_of(const Request& request) {
  return {request.thumbprint, request.identifier,    request.wildcard, request.method,
          request.ticket,     request.expires_at_ms, request.subtree};
}

struct MethodName {
  ValidationMethod method;
  std::string_view name;
};
constexpr MethodName kMethods[] = {
    {ValidationMethod::kHttp01, "http-01"},
    {ValidationMethod::kDns01, "dns-01"},
    {ValidationMethod::kTlsAlpn01, "tls-alpn-01"},
    {ValidationMethod::kDnsAccount01, "dns-account-01"},
    {ValidationMethod::kDnsPersist01, "dns-persist-01"},
};

bool is_dns_method(ValidationMethod method) {
  return method == ValidationMethod::kDns01 || method == ValidationMethod::kDnsAccount01 ||
         method == ValidationMethod::kDnsPersist01;
}

// What is looked at is made of the account's URL.
bool needs_account_url(ValidationMethod method) {
  return method == ValidationMethod::kDnsAccount01 || method == ValidationMethod::kDnsPersist01;
}

// A look that says so itself counts as found, for simulators.
LookOutcome found_unseen(const wire::NameValidate& request) {
  LookOutcome outcome;
  outcome.what = "always-valid";
  outcome.account_url_counted = needs_account_url(request.method);
  return outcome;
}

Digest256 evidence_of(std::string_view method, std::string_view what, std::string_view where,
                      std::int64_t at_ms) {
  wire::CborWriter out;
  out.array(4);
  out.text(method);
  out.text(what);
  out.text(where);
  out.integer(at_ms);
  return crypto::sha256(out.take());
}

}  // namespace

Result<std::set<wire::Identifier>> parse_appliance_names(const std::vector<std::string>& names) {
  std::set<wire::Identifier> out;
  for (const auto& name : names) {
    const auto type = IpAddress::parse(name) ? IdentifierType::kIp : IdentifierType::kDns;
    KEYWARD_TRY(canonical, identifier::canonical(type, name));
    out.insert(std::move(canonical));
  }
  return out;
}

std::string_view method_name(ValidationMethod method) {
  for (const auto& row : kMethods) {
    if (row.method == method) return row.name;
  }
  return {};
}

std::optional<ValidationMethod> method_from(std::string_view name) {
  for (const auto& row : kMethods) {
    if (row.name == name) return row.method;
  }
  return std::nullopt;
}

Validator::Validator(challenge::TokenMint tokens, ValidatorOptions options,
                     std::unique_ptr<NameServers> name_servers, SendGrant send_grant, Clock& clock)
    : tokens_(std::move(tokens)),
      options_(std::move(options)),
      name_servers_(std::move(name_servers)),
      send_grant_(std::move(send_grant)),
      clock_(clock),
      pool_(options_.workers, options_.queue_max) {}

// What this task can prove at all; the same for minting and for looking.
template <class Request>
std::optional<wire::Failure> Validator::not_ours(const Request& request) const {
  const auto no = [](FailureKind kind, std::string_view code, std::string_view detail) {
    return wire::Failure::of(kind, code, detail);
  };
  if (method_name(request.method).empty() || !options_.methods.contains(request.method))
    return no(FailureKind::kRefused, "method-unsupported",
              "this appliance does not validate names in this way");
  const bool dns = is_dns_method(request.method);
  const auto type = request.identifier.type;
  // RFC 8738 §7: no dns method for addresses.
  if (type != IdentifierType::kDns && (dns || type != IdentifierType::kIp))
    return no(FailureKind::kRefused, "identifier-unsupported",
              "this method is not for identifiers of this type");
  // RFC 8555 §8.3, RFC 8737 §3: one host says nothing about all the names below it.
  if (!dns && (request.wildcard || identifier::is_wildcard(request.identifier)))
    return request.method == ValidationMethod::kHttp01
               ? no(FailureKind::kRefused, "wildcard-http-01", "http-01 cannot prove a wildcard")
               : no(FailureKind::kRefused, "wildcard-tls-alpn-01",
                    "tls-alpn-01 cannot prove a wildcard");
  if (request.subtree && !dns)
    return no(FailureKind::kRefused, "subtree-method",
              "only a dns method proves the names below (RFC 9444 §4)");
  // Names below may have CAA records of their own, which nobody would look at.
  if (request.subtree && !options_.caa_identities.empty())
    return no(FailureKind::kRefused, "subtree-caa",
              "with CAA consulted, each name is validated for itself");
  const auto canonical = identifier::canonical(request.identifier.type, request.identifier.value);
  if (!canonical || *canonical != request.identifier ||
      identifier::is_wildcard(request.identifier)) {
    return no(FailureKind::kBadInput, "identifier-malformed",
              "the identifier is not in canonical form");
  }
  return std::nullopt;
}

Answer<wire::NameTokenMintReply> Validator::mint(const wire::NameTokenMint& request) const {
  if (auto failure = not_ours(request)) return tl::unexpected<wire::Failure>(std::move(*failure));
  return wire::NameTokenMintReply{tokens_.mint(binding_of(request))};
}

void Validator::validate(const wire::NameValidate& request, Reply reply) {
  if (auto failure = not_ours(request))
    return reply(tl::unexpected<wire::Failure>(std::move(*failure)));
  if (needs_account_url(request.method) && request.account_url.empty())
    return reply(refuse(FailureKind::kRefused, "account-url-missing",
                        "this method looks for the account's URL"));
  // dns-persist-01 has no token (-02): the record itself names the account and its key.
  if (request.method != ValidationMethod::kDnsPersist01) {
    const auto known =
        tokens_.check(request.token, binding_of(request), request.earlier_keys, clock_.utc_ms());
    if (!known)
      return reply(refuse(FailureKind::kRefused, known.error().what,
                          "the challenge token is not one of this account, identifier and order"));
  }
  auto shared = std::make_shared<Reply>(std::move(reply));
  const auto job = [this, request, shared](bool late) {
    (*shared)(late ? refuse(FailureKind::kUnavailable, "validation-late",
                            "too many validations are waiting")
                   : decide(request));
  };
  if (!pool_.add(job, Deadline::after_ms(limits::kValidationWaitMs))) {
    (*shared)(
        refuse(FailureKind::kExhausted, "validation-busy", "too many validations are waiting"));
  }
}

LookOutcome Validator::look(const wire::NameValidate& request, Resolver& resolver) const {
  if (options_.sleep_ms_max > 0) {
    const auto draw = random_bytes(2);
    const auto part = (draw[0] << 8 | draw[1]) * options_.sleep_ms_max / 0xffff;
    std::this_thread::sleep_for(std::chrono::milliseconds(part));
  }
  if (options_.always_valid) return found_unseen(request);
  const LookRequest what{request.identifier, request.wildcard,   request.subtree,
                         request.token,      request.thumbprint, request.earlier_keys,
                         request.account_url};
  const auto deadline = Deadline::after_ms(options_.dns_total_ms);
  switch (request.method) {
    case ValidationMethod::kHttp01:
      return http01_look(what, options_.http01, resolver);
    case ValidationMethod::kTlsAlpn01:
      return tls_alpn01_look(what, options_.tls_alpn01, resolver);
    case ValidationMethod::kDns01:
      return dns01_look(what, resolver, deadline);
    case ValidationMethod::kDnsAccount01:
      return dns_account01_look(what, resolver, deadline);
    case ValidationMethod::kDnsPersist01:
      return dns_persist01_look(what, options_.persist, resolver, clock_.utc_ms(), deadline);
    default:
      break;  // not_ours() let none of these pass
  }
  LookOutcome none;
  none.problem = problem("serverInternal", "method-unsupported", "no such method");
  return none;
}

CaaOutcome Validator::consult_caa(const wire::NameValidate& request, Resolver& resolver) const {
  if (options_.caa_identities.empty() || request.identifier.type != IdentifierType::kDns ||
      options_.always_valid)
    return {};
  return caa_look({options_.caa_identities, request.identifier.value, request.wildcard,
                   std::string(method_name(request.method)), request.account_url},
                  resolver, Deadline::after_ms(limits::kCaaLookMs));
}

Answer<wire::NameValidateReply> Validator::decide(const wire::NameValidate& request) const {
  const auto resolver = name_servers_->open();
  auto outcome = look(request, *resolver);
  wire::NameValidateReply reply;
  reply.problem = std::move(outcome.problem);
  if (reply.problem) return reply;
  auto caa = consult_caa(request, *resolver);
  reply.problem = std::move(caa.problem);
  if (reply.problem) return reply;
  reply.validated_at_ms = clock_.utc_ms();
  reply.grant_expires_at_ms = reply.validated_at_ms + options_.grant_lifetime_ms;
  if (!options_.caa_identities.empty())
    reply.grant_expires_at_ms =
        std::min(reply.grant_expires_at_ms, reply.validated_at_ms + limits::kCaaGrantMs);
  if (outcome.until_ms)
    reply.grant_expires_at_ms = std::min(reply.grant_expires_at_ms, *outcome.until_ms);
  wire::GrantName grant;
  grant.thumbprint = outcome.thumbprint.value_or(request.thumbprint);
  grant.identifier = request.identifier;
  grant.wildcard = request.wildcard;
  grant.subtree = request.subtree;
  grant.method = request.method;
  if (outcome.account_url_counted || caa.account_url_counted)
    grant.account_url = request.account_url;
  grant.expires_at_ms = reply.grant_expires_at_ms;
  grant.evidence_sha256 =
      evidence_of(method_name(request.method), outcome.what, outcome.where, reply.validated_at_ms);
  // The signer first: "valid" without a grant would be a promise that finalize breaks.
  if (const auto sent = send_grant_(grant); !sent)
    return tl::unexpected<wire::Failure>(sent.error());
  return reply;
}

Answer<wire::ApplianceGrantReply> Validator::grant_appliance(
    const wire::ApplianceGrant& request) const {
  if (request.names.empty())
    return refuse(FailureKind::kRefused, "appliance-names-empty", "no names");
  if (request.ticket.empty())
    return refuse(FailureKind::kRefused, "appliance-ticket-missing",
                  "an appliance grant is for one order");
  for (const auto& name : request.names) {
    if (!options_.appliance_names.contains(name)) {
      return refuse(FailureKind::kRefused, "appliance-name-unknown",
                    "the installation does not give this appliance that name");
    }
  }
  const auto now_ms = clock_.utc_ms();
  wire::ApplianceGrantReply reply{now_ms + limits::kApplianceGrantMs};
  for (const auto& name : request.names) {
    wire::GrantName grant;
    grant.thumbprint = request.thumbprint;
    grant.identifier = name;
    grant.method = ValidationMethod::kAppliance;
    grant.ticket = request.ticket;
    grant.expires_at_ms = reply.grant_expires_at_ms;
    grant.evidence_sha256 = evidence_of("appliance", name.value, request.ticket, now_ms);
    if (const auto sent = send_grant_(grant); !sent)
      return tl::unexpected<wire::Failure>(sent.error());
  }
  return reply;
}

}  // namespace keyward::validate
