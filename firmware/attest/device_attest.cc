#include "firmware/attest/device_attest.h"

#include "firmware/attest/tpm_format.h"

namespace keyward::attest {

Appraised<void> check_module_key(const wire::Identifier& identifier, const AttestedKey& attested) {
  if (identifier.type != wire::IdentifierType::kHardwareModule || attested.non_exportable)
    return {};
  return refuse("identifier.exportable",
                "the statement does not prove that the key cannot leave its hardware, as a "
                "hardware-module needs");
}

Appraised<AttestedKey> appraise_device(ByteView attestation_object,
                                       const wire::Identifier& identifier,
                                       std::string_view key_authorization,
                                       const DeviceAttestPolicy& policy, std::int64_t at_utc_ms) {
  if (identifier.type != wire::IdentifierType::kPermanentIdentifier &&
      identifier.type != wire::IdentifierType::kHardwareModule) {
    return refuse("identifier.unsupported",
                  "device-attest-01 is offered for permanent-identifier and hardware-module alone");
  }
  const auto object = parse_attestation_object(attestation_object);
  if (!object) return tl::unexpected<Refusal>(object.error());
  if (object->format == "none")
    return refuse("format.none", "the attestation format 'none' proves nothing");
  if (object->format != "tpm")
    return refuse("format.unsupported",
                  "the attestation format '" + object->format + "' is not supported; 'tpm' is");
  auto attested = appraise_tpm(*object, identifier, view_of(key_authorization), policy, at_utc_ms);
  if (attested) KEYWARD_APPRAISE(check_module_key(identifier, *attested));
  return attested;
}

}  // namespace keyward::attest
