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

// RFC 9447 §7 bounds a certificate by its token; the 2019 vendor token says nothing of any
// certificate: it proves a device at a time.
constexpr std::int64_t kNoBoundMs = 0;

task::Answer<wire::AuthorityVerifyReply> not_configured() {
  return task::refuse(wire::FailureKind::kRefused, "authority-not-configured",
                      "no authority is trusted here");
}

wire::AuthorityVerifyReply refuse_token(const attest::AuthorityRefusal& why, std::int64_t now_ms) {
  log::info("authority token refused", {{"code", why.code}});
  return refusal(why.type, why.code, why.detail, now_ms);
}

bool is_known_method(const wire::AuthorityVerify& request) {
  if (request.method == wire::ValidationMethod::kTkauth01) return true;
  return request.method == wire::ValidationMethod::kVendorJwt01 &&
         request.identifier.type == wire::IdentifierType::kMac;
}

}  // namespace

task::Answer<wire::AuthorityVerifyReply> Authority::verify(const wire::AuthorityVerify& request) {
  const std::int64_t now_ms = system_clock().utc_ms();
  const bool is_mac = request.identifier.type == wire::IdentifierType::kMac;
  if (is_mac ? vendors_.empty() : policy_.roots.empty()) return not_configured();
  if (!is_known_method(request) || (!is_mac && !identifier::authority_der(request.identifier))) {
    return task::refuse(wire::FailureKind::kRefused, "identifier-unsupported",
                        "tkauth-01 is offered for TNAuthList, claim constraints and mac, "
                        "vendor-jwt-01 for mac");
  }
  challenge::TokenBinding binding;
  binding.thumbprint = request.thumbprint;
  binding.identifier = request.identifier;
  binding.method = request.method;
  binding.ticket = request.ticket;
  binding.expires_at_ms = request.expires_at_ms;
  if (const auto token = mint_.check(request.token, binding, request.earlier_keys, now_ms);
      !token) {
    return task::refuse(
        wire::FailureKind::kRefused, token.error().what,
        "the challenge token was not minted for this account, identifier and order");
  }
  if (is_mac) return verify_vendor(request, now_ms);
  attest::AuthorityRequest question{request.tkauth, &request.identifier, request.thumbprint, {}};
  if (request.fetched) question.fetched = *request.fetched;
  const auto verdict = attest::verify_authority_token(question, policy_, now_ms);
  if (verdict.refusal) return refuse_token(*verdict.refusal, now_ms);
  if (verdict.fetch_url) {
    wire::AuthorityVerifyReply reply;
    reply.fetch_url = *verdict.fetch_url;
    return reply;
  }
  return grant(request, {verdict.expires_ms, verdict.expires_ms, verdict.token_id}, now_ms);
}

task::Answer<wire::AuthorityVerifyReply> Authority::verify_vendor(
    const wire::AuthorityVerify& request, std::int64_t now_ms) {
  const bool atc = request.method == wire::ValidationMethod::kTkauth01;
  const auto verdict = attest::verify_vendor_token(
      {request.tkauth, &request.identifier, request.thumbprint, atc}, vendors_, now_ms);
  if (verdict.refusal) return refuse_token(*verdict.refusal, now_ms);
  log::info("vendor token holds", {{"vendor", verdict.vendor}});
  return grant(request,
               {verdict.expires_ms, atc ? verdict.expires_ms : kNoBoundMs, verdict.token_id,
                verdict.domains, "vendor.replayed"},
               now_ms);
}

task::Answer<wire::AuthorityVerifyReply> Authority::grant(const wire::AuthorityVerify& request,
                                                          const Accepted& accepted,
                                                          std::int64_t now_ms) {
  const auto spent = spent_->spend(accepted.token_id, use_of(request), accepted.expires_ms, now_ms);
  if (!spent && spent.error().kind == ErrorKind::kRefused) {
    log::info("authority token refused", {{"code", accepted.replayed}});
    return refusal("unauthorized", accepted.replayed, "the token was used before", now_ms);
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
  grant.expires_at_ms = std::min(request.expires_at_ms, accepted.expires_ms);
  grant.not_after_max_ms = accepted.not_after_max_ms;
  grant.method = request.method;
  grant.domains = accepted.domains;
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
