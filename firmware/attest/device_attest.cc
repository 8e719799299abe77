#include "firmware/attest/device_attest.h"

#include <algorithm>

#include "firmware/attest/android_format.h"
#include "firmware/attest/apple_format.h"
#include "firmware/attest/packed_format.h"
#include "firmware/attest/statement.h"
#include "firmware/attest/step_format.h"
#include "firmware/attest/tpm_format.h"

namespace keyward::attest {

Appraised<void> check_module_key(const wire::Identifier& identifier, const AttestedKey& attested) {
  if (identifier.type != wire::IdentifierType::kHardwareModule || attested.non_exportable)
    return {};
  return refuse("identifier.exportable",
                "the statement does not prove that the key cannot leave its hardware, as a "
                "hardware-module needs");
}

namespace {

// The registry: what each format is called, and who appraises it if the policy has it on.
struct Format {
  std::string_view name;
  Appraised<AttestedKey> (*appraise)(const Statement&);
  bool (*is_on)(const DeviceAttestPolicy&);
};

constexpr Format kFormats[] = {
    {"tpm",
     [](const Statement& s) {
       return appraise_tpm(s.object, s.identifier, s.to_be_signed(), s.policy, s.at_utc_ms,
                           s.checks);
     },
     [](const DeviceAttestPolicy& policy) { return policy.tpm; }},
    {"packed", [](const Statement& s) { return appraise_packed(s, *s.policy.packed); },
     [](const DeviceAttestPolicy& policy) { return policy.packed.has_value(); }},
    {"apple", [](const Statement& s) { return appraise_apple(s, *s.policy.apple); },
     [](const DeviceAttestPolicy& policy) { return policy.apple.has_value(); }},
    {"android-key", [](const Statement& s) { return appraise_android(s, *s.policy.android); },
     [](const DeviceAttestPolicy& policy) { return policy.android.has_value(); }},
    {"step", [](const Statement& s) { return appraise_step(s, *s.policy.step); },
     [](const DeviceAttestPolicy& policy) { return policy.step.has_value(); }},
};

Appraised<const Format*> find_format(std::string_view name, const DeviceAttestPolicy& policy) {
  if (name == "none") return refuse("format.none", "the attestation format 'none' proves nothing");
  const auto* const found = std::ranges::find(kFormats, name, &Format::name);
  if (found == std::end(kFormats) || !found->is_on(policy)) {
    return refuse("format.unsupported",
                  "the attestation format '" + std::string(name) +
                      "' is not taken here; taken are: " + format_names(policy));
  }
  return found;
}

}  // namespace

std::string format_names(const DeviceAttestPolicy& policy) {
  std::string out;
  for (const auto& format : kFormats) {
    if (format.is_on(policy)) out += (out.empty() ? "" : ", ") + std::string(format.name);
  }
  return out;
}

Appraised<AttestedKey> appraise_device(ByteView attestation_object,
                                       const wire::Identifier& identifier,
                                       const DeviceChallenge& challenge,
                                       const DeviceAttestPolicy& policy, std::int64_t at_utc_ms,
                                       Checks* checks) {
  if (identifier.type != wire::IdentifierType::kPermanentIdentifier &&
      identifier.type != wire::IdentifierType::kHardwareModule) {
    return refuse("identifier.unsupported",
                  "device-attest-01 is offered for permanent-identifier and hardware-module alone");
  }
  const auto object = parse_attestation_object(attestation_object);
  if (!object) return tl::unexpected<Refusal>(object.error());
  note(checks, "cbor.malformed", "the attestation object is one strictly encoded CBOR item");
  const auto format = find_format(object->format, policy);
  if (!format) return tl::unexpected<Refusal>(format.error());
  note(checks, "format.unsupported", "the format '" + object->format + "' is one that is taken");
  auto attested = (*format)->appraise({*object, identifier, challenge, policy, at_utc_ms, checks});
  if (attested) KEYWARD_APPRAISE(check_module_key(identifier, *attested));
  return attested;
}

}  // namespace keyward::attest
