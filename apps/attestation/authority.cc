// Owns what stands between a verified token and its grant. Must not know certificates.
#include "apps/attestation/authority.h"

#include <algorithm>

#include "firmware/identifier/identifier.h"
#include "firmware/log/log.h"
#include "firmware/wire/cbor.h"
#include "firmware/wire/messages/grant_authority.h"

namespace keyward::attestation {
namespace {

// What a token is spent on: one identifier of one order of one account.
Digest256 use_of(const wire::AuthorityVerify& request) {
  wire::CborWriter out;
  out.array(4);
  out.bytes(request.thumbprint);
  out.unsigned_integer(static_cast<std::uint64_t>(request.identifier.type));
  out.text(request.identifier.value);
  out.text(request.ticket);
  return crypto::sha256(out.take());
}

wire::AuthorityVerifyReply refusal(std::string_view type, std::string_view code,
                                   std::string_view detail, std::int64_t now_ms) {
  wire::AuthorityVerifyReply reply;
  reply.problem = wire::ChallengeProblem{std::string(type), std::string(code), std::string(detail)};
  reply.validated_at_ms = now_ms;
  return reply;
}

}  // namespace

task::Answer<wire::AuthorityVerifyReply> Authority::verify(const wire::AuthorityVerify& request) {
  const std::int64_t now_ms = system_clock().utc_ms();
  if (policy_.roots.empty()) {
    return task::refuse(wire::FailureKind::kRefused, "authority-not-configured",
                        "no authority is trusted here");
  }
  if (!identifier::authority_der(request.identifier)) {
    return task::refuse(wire::FailureKind::kRefused, "identifier-unsupported",
                        "tkauth-01 is offered for TNAuthList and claim constraints");
  }
  challenge::TokenBinding binding;
  binding.thumbprint = request.thumbprint;
  binding.identifier = request.identifier;
  binding.method = wire::ValidationMethod::kTkauth01;
  binding.ticket = request.ticket;
  binding.expires_at_ms = request.expires_at_ms;
  if (const auto token = mint_.check(request.token, binding, request.earlier_keys, now_ms);
      !token) {
    return task::refuse(
        wire::FailureKind::kRefused, token.error().what,
        "the challenge token was not minted for this account, identifier and order");
  }
  attest::AuthorityRequest question{request.tkauth, &request.identifier, request.thumbprint, {}};
  if (request.fetched) question.fetched = *request.fetched;
  const auto verdict = attest::verify_authority_token(question, policy_, now_ms);
  if (verdict.refusal) {
    const auto& why = *verdict.refusal;
    log::info("authority token refused", {{"code", why.code}});
    return refusal(why.type, why.code, why.detail, now_ms);
  }
  if (verdict.fetch_url) {
    wire::AuthorityVerifyReply reply;
    reply.fetch_url = *verdict.fetch_url;
    return reply;
  }
  return grant(request, verdict, now_ms);
}

task::Answer<wire::AuthorityVerifyReply> Authority::grant(const wire::AuthorityVerify& request,
                                                          const attest::AuthorityVerdict& verdict,
                                                          std::int64_t now_ms) {
  const auto spent = spent_->spend(verdict.token_id, use_of(request), verdict.expires_ms, now_ms);
  if (!spent && spent.error().kind == ErrorKind::kRefused) {
    log::info("authority token refused", {{"code", spent.error().what}});
    return refusal("unauthorized", spent.error().what, "the token was used before", now_ms);
  }
  if (!spent) {
    log::error("the use of an authority token cannot be recorded", spent.error());
    const bool full = spent.error().kind == ErrorKind::kExhausted;
    return task::refuse(full ? wire::FailureKind::kExhausted : wire::FailureKind::kUnavailable,
                        full ? "authority-full" : "authority-unavailable",
                        "the token's use cannot be recorded");
  }
  wire::GrantAuthority grant;
  grant.thumbprint = request.thumbprint;
  grant.identifier = request.identifier;
  grant.ticket = request.ticket;
  grant.expires_at_ms = std::min(request.expires_at_ms, verdict.expires_ms);
  grant.not_after_max_ms = verdict.expires_ms;
  grant.evidence_sha256 = crypto::sha256(view_of(request.tkauth));
  // The signer must hold the grant before anyone hears "valid".
  if (const auto granted = signer_.call(grant); !granted)
    return tl::unexpected<wire::Failure>(granted.error());
  log::info("authority token accepted", {{"evidence_sha256", hex_encode(grant.evidence_sha256)}});
  wire::AuthorityVerifyReply reply;
  reply.validated_at_ms = now_ms;
  reply.grant_expires_at_ms = grant.expires_at_ms;
  return reply;
}

}  // namespace keyward::attestation
