// Owns the rules of format `step`. Must not know other formats.
#include "firmware/attest/step_format.h"

#include "firmware/wire/cbor.h"
#include "firmware/x509/der.h"
#include "hal/base/limits.h"

namespace keyward::attest {
namespace {

// Yubico's arc 1.3.6.1.4.1.41482.3.
constexpr std::string_view kFirmware = "1.3.6.1.4.1.41482.3.3";  // three octets
constexpr std::string_view kSerial = "1.3.6.1.4.1.41482.3.7";    // INTEGER
constexpr std::string_view kPolicies = "1.3.6.1.4.1.41482.3.8";  // PIN policy, touch policy

// The signature is a CBOR byte string inside the member's byte string.
Appraised<Bytes> unwrapped_signature(const AttestationObject& object) {
  wire::CborReader reader(*object.sig);
  const auto inner = reader.bytes(limits::kAttestationObjectBytesMax);
  if (!inner || !reader.at_end()) {
    return refuse("step.signature-form",
                  "the member 'sig' must be a CBOR byte string that holds the signature");
  }
  return to_bytes(*inner);
}

std::string version_text(std::uint32_t version) {
  return std::to_string(version >> 16) + "." + std::to_string(version >> 8 & 0xff) + "." +
         std::to_string(version & 0xff);
}

Appraised<void> check_firmware(const Statement& statement, const StepPolicy& policy,
                               const x509::Certificate& leaf) {
  const auto* extension = leaf.extension(kFirmware);
  if (extension == nullptr || extension->value.size() != 3) {
    return refuse("step.firmware",
                  "the slot's certificate does not name the token's firmware in three octets");
  }
  const auto& octets = extension->value;
  const std::uint32_t version =
      std::uint32_t{octets[0]} << 16 | std::uint32_t{octets[1]} << 8 | octets[2];
  if (version < policy.firmware_min) {
    return refuse("step.firmware", "the token's firmware is " + version_text(version) +
                                       "; at least " + version_text(policy.firmware_min) +
                                       " is needed");
  }
  statement.passed("step.firmware", "the token's firmware is " + version_text(version));
  return {};
}

Appraised<void> check_policies(const Statement& statement, const StepPolicy& policy,
                               const x509::Certificate& leaf) {
  const auto* extension = leaf.extension(kPolicies);
  const auto known = [](std::uint8_t octet) { return octet >= 1 && octet <= 3; };
  if (extension == nullptr || extension->value.size() != 2 || !known(extension->value[0]) ||
      !known(extension->value[1])) {
    return refuse("step.policy",
                  "the slot's certificate does not name the key's PIN and touch policy in two "
                  "octets");
  }
  if (!policy.pin.contains(static_cast<PinPolicy>(extension->value[0]))) {
    return refuse("step.pin-policy",
                  "the key's PIN policy is not among those of the policy (step.pin_policies)");
  }
  if (!policy.touch.contains(static_cast<TouchPolicy>(extension->value[1]))) {
    return refuse("step.touch-policy",
                  "the key's touch policy is not among those of the policy (step.touch_policies)");
  }
  statement.passed("step.pin-policy", "the key's PIN and touch policy are among those allowed");
  return {};
}

// Decimal. Absent: no values.
Appraised<std::vector<std::string>> serials(const x509::Certificate& leaf) {
  const auto* extension = leaf.extension(kSerial);
  if (extension == nullptr) return std::vector<std::string>();
  x509::DerReader reader(extension->value);
  const auto number = reader.small_unsigned();
  if (!number || !reader.at_end())
    return refuse("step.serial", "the token's serial number is not one INTEGER");
  return std::vector<std::string>{std::to_string(*number)};
}

}  // namespace

Appraised<AttestedKey> appraise_step(const Statement& statement, const StepPolicy& policy) {
  const auto& object = statement.object;
  if (!object.alg || !object.sig || object.x5c.empty())
    return refuse("step.members", "a step statement needs alg, sig and x5c");
  const auto signature = unwrapped_signature(object);
  if (!signature) return tl::unexpected<Refusal>(signature.error());
  const auto chain = appraise_chain(statement, "step", policy.roots);
  if (!chain) return tl::unexpected<Refusal>(chain.error());
  KEYWARD_APPRAISE(
      check_signature(statement, "step", chain->leaf.key, statement.to_be_signed(), *signature));
  KEYWARD_APPRAISE(check_firmware(statement, policy, chain->leaf));
  KEYWARD_APPRAISE(check_policies(statement, policy, chain->leaf));
  const auto key = certifiable_key(statement, "step", chain->leaf.key);
  if (!key) return tl::unexpected<Refusal>(key.error());
  const auto asserted = serials(chain->leaf);
  if (!asserted) return tl::unexpected<Refusal>(asserted.error());
  KEYWARD_APPRAISE(check_identifier(statement, "step", *asserted, policy.assigner));
  // A token attests only keys that it generated itself, and none of them can leave it.
  return AttestedKey{object.format, *key, true};
}

}  // namespace keyward::attest
