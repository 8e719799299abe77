#include "firmware/validate/validator.h"

#include "firmware/crypto/crypto.h"
#include "firmware/identifier/identifier.h"
#include "firmware/wire/cbor.h"

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
  return {request.thumbprint, request.identifier, request.wildcard,
          request.method,     request.ticket,     request.expires_at_ms};
}

// What this task can prove at all; the same for minting and for looking.
template <class Request>
std::optional<wire::Failure> not_ours(const Request& request) {
  const auto no = [](FailureKind kind, std::string_view code, std::string_view detail) {
    return wire::Failure::of(kind, code, detail);
  };
  if (request.method != ValidationMethod::kHttp01) {
    return no(FailureKind::kRefused, "method-unsupported",
              "this appliance validates names by http-01");
  }
  if (request.identifier.type != IdentifierType::kDns &&
      request.identifier.type != IdentifierType::kIp) {
    return no(FailureKind::kRefused, "identifier-unsupported",
              "http-01 is for dns and ip identifiers");
  }
  // RFC 8555 §8.3: a file on one host says nothing about all the names below it.
  if (request.wildcard || identifier::is_wildcard(request.identifier)) {
    return no(FailureKind::kRefused, "wildcard-http-01", "http-01 cannot prove a wildcard");
  }
  const auto canonical = identifier::canonical(request.identifier.type, request.identifier.value);
  if (!canonical || *canonical != request.identifier) {
    return no(FailureKind::kBadInput, "identifier-malformed",
              "the identifier is not in canonical form");
  }
  return std::nullopt;
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

Validator::Validator(challenge::TokenMint tokens, ValidatorOptions options,
                     std::unique_ptr<Resolver> resolver, SendGrant send_grant, Clock& clock)
    : tokens_(std::move(tokens)),
      options_(std::move(options)),
      resolver_(std::move(resolver)),
      send_grant_(std::move(send_grant)),
      clock_(clock),
      pool_(options_.workers, options_.queue_max) {}

Answer<wire::NameTokenMintReply> Validator::mint(const wire::NameTokenMint& request) const {
  if (auto failure = not_ours(request)) return tl::unexpected<wire::Failure>(std::move(*failure));
  return wire::NameTokenMintReply{tokens_.mint(binding_of(request))};
}

void Validator::validate(const wire::NameValidate& request, Reply reply) {
  if (auto failure = not_ours(request))
    return reply(tl::unexpected<wire::Failure>(std::move(*failure)));
  if (const auto known = tokens_.check(request.token, binding_of(request), clock_.utc_ms());
      !known) {
    return reply(refuse(FailureKind::kRefused, known.error().what,
                        "the challenge token is not one of this account, identifier and order"));
  }
  auto shared = std::make_shared<Reply>(std::move(reply));
  const auto job = [this, request, shared](bool late) {
    (*shared)(late ? refuse(FailureKind::kUnavailable, "validation-late",
                            "too many validations are waiting")
                   : look(request));
  };
  if (!pool_.add(job, Deadline::after_ms(limits::kValidationWaitMs))) {
    (*shared)(
        refuse(FailureKind::kExhausted, "validation-busy", "too many validations are waiting"));
  }
}

Answer<wire::NameValidateReply> Validator::look(const wire::NameValidate& request) const {
  auto outcome = http01_look(request.identifier, request.token, request.thumbprint, options_.http01,
                             *resolver_);
  wire::NameValidateReply reply;
  if (outcome.problem) {
    reply.problem = std::move(outcome.problem);
    return reply;
  }
  reply.validated_at_ms = clock_.utc_ms();
  reply.grant_expires_at_ms = reply.validated_at_ms + options_.grant_lifetime_ms;
  wire::GrantName grant;
  grant.thumbprint = request.thumbprint;
  grant.identifier = request.identifier;
  grant.method = ValidationMethod::kHttp01;
  grant.expires_at_ms = reply.grant_expires_at_ms;
  grant.evidence_sha256 =
      evidence_of("http-01", outcome.final_url, outcome.address, reply.validated_at_ms);
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
