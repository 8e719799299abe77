#include "apps/attestation/loop.h"

#include <algorithm>

#include "firmware/identifier/identifier.h"
#include "firmware/jose/jwk.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/grant_device.h"
#include "hal/base/file.h"

namespace keyward::attestation {
namespace {

template <class Request>
challenge::TokenBinding binding_of(const Request& request, wire::ValidationMethod method) {
  challenge::TokenBinding out;
  out.thumbprint = request.thumbprint;
  out.identifier = request.identifier;
  out.method = method;
  out.ticket = request.ticket;
  out.expires_at_ms = request.expires_at_ms;
  return out;
}

wire::DeviceVerifyReply refusal(std::string_view code, std::string_view detail,
                                std::int64_t now_ms) {
  wire::DeviceVerifyReply reply;
  reply.problem = wire::ChallengeProblem{"badAttestationStatement",
                                         std::string(code.substr(0, limits::kCodeBytesMax)),
                                         std::string(detail.substr(0, limits::kDetailBytesMax))};
  reply.validated_at_ms = now_ms;
  return reply;
}

// What leads to the device: its name, its AK, and the serial that another format asserts.
inventory::Traces traces_of(const wire::Identifier& identifier,
                            const attest::AttestedKey& attested) {
  inventory::Traces out;
  out.identifiers.push_back(identifier);
  out.ak_spki_sha256 = attested.ak_spki_sha256;
  if (!attested.ak_spki_sha256) {
    const auto serial = identifier.value.substr(0, identifier.value.find('/'));
    out.root = inventory::Root{attested.format, serial};
  }
  return out;
}

}  // namespace

task::Answer<wire::DeviceTokenMintReply> Loop::mint(const wire::DeviceTokenMint& request) const {
  using wire::ValidationMethod;
  const auto type = request.identifier.type;
  const bool device = request.method == ValidationMethod::kDeviceAttest01 &&
                      (type == wire::IdentifierType::kPermanentIdentifier ||
                       type == wire::IdentifierType::kHardwareModule);
  const bool authority =
      request.method == ValidationMethod::kTkauth01 && identifier::is_authority_type(type);
  const bool vendor =
      type == wire::IdentifierType::kMac && (request.method == ValidationMethod::kTkauth01 ||
                                             request.method == ValidationMethod::kVendorJwt01);
  if ((authority && !authorities_) || (vendor && !vendors_)) {
    return task::refuse(wire::FailureKind::kRefused, "authority-not-configured",
                        "no authority is trusted here");
  }
  if (!device && !authority && !vendor) {
    return task::refuse(wire::FailureKind::kRefused, "identifier-unsupported",
                        "device-attest-01 is offered for permanent-identifier and hardware-module "
                        "alone, tkauth-01 for TNAuthList, claim constraints and mac, vendor-jwt-01 "
                        "for mac");
  }
  return wire::DeviceTokenMintReply{mint_.mint(binding_of(request, request.method))};
}

task::Answer<wire::DeviceVerifyReply> Loop::verify(const wire::DeviceVerify& request) {
  const std::int64_t now_ms = system_clock().utc_ms();
  const auto binding = binding_of(request, wire::ValidationMethod::kDeviceAttest01);
  if (const auto token = mint_.check(request.token, binding, request.earlier_keys, now_ms);
      !token) {
    return task::refuse(
        wire::FailureKind::kRefused, token.error().what,
        "the challenge token was not minted for this account, identifier and order");
  }
  // Admitted: the key of today; which keys the account had before is the front end's word.
  const attest::DeviceChallenge challenge{
      jose::key_authorization(request.token, request.thumbprint),
      {},
      is_admitted_(request.thumbprint)};
  const auto appraised = attest::appraise_device(request.attestation_object, request.identifier,
                                                 challenge, policy_, now_ms);
  const auto evidence = crypto::sha256(request.attestation_object);
  if (!appraised) {
    log::info("attestation refused",
              {{"code", appraised.error().code}, {"evidence_sha256", hex_encode(evidence)}});
    return refusal(appraised.error().code, appraised.error().detail, now_ms);
  }
  const auto traces = traces_of(request.identifier, *appraised);
  const auto judged = devices_.judge(traces);
  if (!judged) return tl::unexpected<wire::Failure>(judged.error());
  if (*judged) {
    log::info("attestation refused",
              {{"code", (*judged)->code}, {"evidence_sha256", hex_encode(evidence)}});
    return refusal((*judged)->code, (*judged)->detail, now_ms);
  }
  wire::GrantDevice grant;
  grant.thumbprint = request.thumbprint;
  grant.identifier = request.identifier;
  grant.format = appraised->format;
  grant.ticket = request.ticket;
  grant.spki_sha256 = appraised->key.spki_sha256();
  grant.expires_at_ms = std::min(request.expires_at_ms, now_ms + grant_lifetime_ms_);
  grant.evidence_sha256 = evidence;
  grant.ak_serial = appraised->ak_serial;
  // The signer must hold the grant before anyone hears "valid".
  const auto granted = signer_.call(grant);
  if (!granted && granted.error().code == "ak-revoked") {
    log::info("attestation refused",
              {{"code", "ak.revoked"}, {"evidence_sha256", hex_encode(evidence)}});
    return refusal("ak.revoked", granted.error().detail, now_ms);
  }
  if (!granted) return tl::unexpected<wire::Failure>(granted.error());
  log::info("attestation accepted",
            {{"format", appraised->format}, {"evidence_sha256", hex_encode(evidence)}});
  devices_.note(inventory::Decision::kDevice, traces, request.thumbprint, evidence);
  devices_.keep(request.profile, request.attestation_object);
  wire::DeviceVerifyReply reply;
  reply.validated_at_ms = now_ms;
  reply.grant_expires_at_ms = grant.expires_at_ms;
  return reply;
}

}  // namespace keyward::attestation
