#include "apps/attestation/remote.h"

#include <algorithm>

#include "firmware/jose/jwk.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/grant_remote.h"
#include "hal/base/clock.h"

namespace keyward::attestation {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

template <class Request>
challenge::TokenBinding binding_of(const Request& request) {
  challenge::TokenBinding out;
  out.thumbprint = request.thumbprint;
  out.identifier = request.identifier;
  out.method = wire::ValidationMethod::kRemoteAttest01;
  out.ticket = request.ticket;
  out.expires_at_ms = request.expires_at_ms;
  return out;
}

wire::RemoteVerifyReply problem(std::string_view type, std::string_view code,
                                std::string_view detail, std::int64_t now_ms) {
  wire::RemoteVerifyReply reply;
  reply.problem =
      wire::ChallengeProblem{std::string(type), std::string(code.substr(0, limits::kCodeBytesMax)),
                             std::string(detail.substr(0, limits::kDetailBytesMax))};
  reply.validated_at_ms = now_ms;
  return reply;
}

// All reasons, as far as they fit; how many are left out is said.
std::string words_of(const appraise::WhyNots& why_not) {
  constexpr std::size_t kRoom = limits::kDetailBytesMax - 32;
  std::string out;
  std::size_t told = 0;
  for (const auto& reason : why_not) {
    const auto text = (reason.submod.empty() ? "" : reason.submod + ": ") + reason.words;
    if (told > 0 && out.size() + text.size() + 2 > kRoom) break;
    out += (told == 0 ? "" : "; ") + text.substr(0, kRoom);
    ++told;
  }
  if (told < why_not.size()) out += "; and " + std::to_string(why_not.size() - told) + " more";
  return out;
}

// D-R6: what cannot be taken apart is malformed; what can, and does not convince, is a bad statement.
bool is_undecodable(std::string_view code) {
  return code.starts_with("cmw.") || code.starts_with("payload.") || code == "csr.malformed" ||
         code == "jwe.malformed";
}

}  // namespace

RemoteConfig read_remote_config(config::Section& section) {
  RemoteConfig out;
  out.policies = appraise::PolicySet::read(section);
  out.key.kind = section.string_or("evidence_key", "p256");
  out.key.lifetime_ms = section.integer_or("evidence_key_days", 1, 3'650, 90) * kDayMs;
  out.key.allow_unsealed = section.boolean_or("evidence_key_unsealed", false);
  return out;
}

appraise::PolicySet load_policies_or_die(const appraise::PolicySet::Paths& paths) {
  std::vector<std::string> problems;
  auto out = appraise::PolicySet::load(paths, problems);
  for (const auto& what : problems) log::error("appraisal policy", {{"problem", what}});
  if (!out) task::Task::exit(task::kExitConfig);
  return std::move(*out);
}

task::Answer<wire::DeviceTokenMintReply> Remote::mint(const wire::DeviceTokenMint& request) {
  if (request.identifier.type != wire::IdentifierType::kRemoteAttestation)
    return task::refuse(wire::FailureKind::kRefused, "identifier-unsupported",
                        "remote-attest-01 is offered for remote-attestation alone");
  const auto* policy = policies_.find(request.profile, request.identifier.value);
  if (policy == nullptr)
    return task::refuse(wire::FailureKind::kRefused, "hint-not-served",
                        "no appraisal policy is configured for this profile and hint");
  wire::DeviceTokenMintReply out{mint_.mint(binding_of(request))};
  out.claims_hint = appraise::claims_hint(*policy);
  out.evidence_kid = keys_.shown_kid(system_clock().utc_ms());
  return out;
}

task::Answer<wire::EvidenceKeyGetReply> Remote::evidence_key(const wire::EvidenceKeyGet& request) {
  wire::EvidenceKeyGetReply out;
  if (!policies_.empty()) out.jwk = keys_.jwk(request.kid, system_clock().utc_ms());
  return out;
}

rats::Appraised<rats::ResponsePayload> Remote::read(const wire::RemoteVerify& request,
                                                    std::int64_t now_ms) {
  auto payload = rats::read_response_payload(request.payload);
  if (!payload) return payload;
  const auto* jwe = std::get_if<rats::JwePayload>(&*payload);
  if (jwe == nullptr) return payload;
  const auto opened = keys_.open(jwe->compact, now_ms);
  if (!opened) return tl::unexpected(opened.error());
  auto cmw = rats::parse_cmw(opened->plaintext);
  if (!cmw) return tl::unexpected(cmw.error());
  return rats::ResponsePayload(std::move(*cmw));
}

task::Answer<wire::RemoteVerifyReply> Remote::verify(const wire::RemoteVerify& request) {
  const std::int64_t now_ms = system_clock().utc_ms();
  if (request.identifier.type != wire::IdentifierType::kRemoteAttestation)
    return task::refuse(wire::FailureKind::kRefused, "identifier-unsupported",
                        "remote-attest-01 is offered for remote-attestation alone");
  if (const auto token =
          mint_.check(request.token, binding_of(request), request.earlier_keys, now_ms);
      !token)
    return task::refuse(wire::FailureKind::kRefused, token.error().what,
                        "the freshness nonce was not minted for this account, hint and order");
  const auto* policy = policies_.find(request.profile, request.identifier.value);
  if (policy == nullptr)
    return task::refuse(wire::FailureKind::kRefused, "hint-not-served",
                        "no appraisal policy is configured for this profile and hint");
  const auto payload = read(request, now_ms);
  if (!payload && payload.error().code == "jwe.key-away")
    return task::refuse(wire::FailureKind::kUnavailable, "evidence-key-away",
                        "the key for encrypted evidence is not there now");
  if (!payload) {
    const auto& why = payload.error();
    log::info("evidence refused", {{"code", why.code}, {"policy", policy->name}});
    return problem(is_undecodable(why.code) ? "malformed" : "badAttestationStatement", why.code,
                   why.detail, now_ms);
  }
  appraise::Question question;
  question.fresh.token = request.token;
  question.fresh.key_authorization = jose::key_authorization(request.token, request.thumbprint);
  question.at_utc_ms = now_ms;
  question.relayed = request.relayed;
  std::optional<Digest256> ak_sha256;  // a trace of the device, whoever names it
  question.devices_of_key = [&](const crypto::PublicKey& ak) {
    ak_sha256 = ak.spki_sha256();
    return devices_.identity_by_enrolment() ? devices_.identifiers_of_key(*ak_sha256)
                                            : std::vector<wire::Identifier>();
  };
  const auto decision = appraise::appraise(*policy, *payload, question);
  if (decision.relay) {
    wire::RemoteVerifyReply reply;
    reply.relay = wire::RelayOrder{decision.relay->verifier, request.token,
                                   decision.relay->media_type, decision.relay->evidence};
    return reply;
  }
  if (!decision.is_accepted()) {
    log::info("evidence refused",
              {{"code", decision.why_not.front().id},
               {"reasons", decision.why_not.size()},
               {"policy", policy->name},
               {"evidence_sha256", hex_encode(crypto::sha256(request.payload))}});
    const auto& id = decision.why_not.front().id;
    return problem(is_undecodable(id) ? "malformed" : "badAttestationStatement", id,
                   words_of(decision.why_not), now_ms);
  }
  return grant(request, *policy, decision, ak_sha256, now_ms);
}

task::Answer<wire::RemoteVerifyReply> Remote::grant(const wire::RemoteVerify& request,
                                                    const appraise::AppraisalPolicy& policy,
                                                    const appraise::Decision& decision,
                                                    const std::optional<Digest256>& ak_sha256,
                                                    std::int64_t now_ms) {
  const inventory::Traces traces{{}, ak_sha256, decision.findings.devices, std::nullopt};
  const auto judged = devices_.judge(traces);
  if (!judged) return tl::unexpected<wire::Failure>(judged.error());
  if (*judged) {
    log::info("evidence refused", {{"code", (*judged)->code}, {"policy", policy.name}});
    return problem("badAttestationStatement", (*judged)->code, (*judged)->detail, now_ms);
  }
  wire::GrantRemote grant;
  grant.thumbprint = request.thumbprint;
  grant.hint = request.identifier.value;
  grant.profile = request.profile;
  grant.policy = policy.name + "/" + policy.version;
  grant.ticket = request.ticket;
  grant.expires_at_ms = std::min(request.expires_at_ms, now_ms + grant_lifetime_ms_);
  grant.evidence_sha256 = crypto::sha256(request.payload);
  if (decision.findings.key) grant.spki_sha256 = decision.findings.key->spki_sha256();
  grant.devices = decision.findings.devices;
  grant.ak_serial = decision.findings.ak_serial;
  // The signer must hold the grant before anyone hears "valid".
  const auto granted = signer_.call(grant);
  if (!granted && granted.error().code == "ak-revoked") {
    log::info("evidence refused", {{"code", "ak.revoked"}, {"policy", policy.name}});
    return problem("badAttestationStatement", "ak.revoked", granted.error().detail, now_ms);
  }
  if (!granted) return tl::unexpected<wire::Failure>(granted.error());
  log::info("evidence accepted",
            {{"policy", grant.policy}, {"evidence_sha256", hex_encode(grant.evidence_sha256)}});
  devices_.note(inventory::Decision::kRemote, traces, request.thumbprint, grant.evidence_sha256);
  devices_.keep(request.profile, request.payload);
  wire::RemoteVerifyReply reply;
  reply.validated_at_ms = now_ms;
  reply.grant_expires_at_ms = grant.expires_at_ms;
  return reply;
}

}  // namespace keyward::attestation
