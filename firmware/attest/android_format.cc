// Owns the rules of format `android-key`. Must not know other formats.
#include "firmware/attest/android_format.h"

#include <algorithm>

#include "firmware/attest/android_key_description.h"
#include "firmware/wire/cbor.h"

namespace keyward::attest {
namespace {

constexpr std::string_view kKeyDescription = "1.3.6.1.4.1.11129.2.1.17";
constexpr std::uint64_t kGenerated = 0;    // KM_ORIGIN_GENERATED
constexpr std::uint64_t kPurposeSign = 2;  // KM_PURPOSE_SIGN
constexpr std::uint64_t kVerified = 0, kSelfSigned = 1;

Appraised<void> check_revocation(const Statement& statement, const AndroidPolicy& policy,
                                 const Chain& chain) {
  if (!policy.status_list) return {};
  const auto& list = *policy.status_list;
  const bool revoked =
      list.holds(chain.leaf.serial) ||
      std::ranges::any_of(chain.above, [&](const auto& c) { return list.holds(c.serial); });
  if (revoked) {
    return refuse("android.revoked",
                  "a certificate in x5c is on the imported list of revoked attestation keys");
  }
  statement.passed("android.revoked", "no certificate in x5c is on the status list");
  return {};
}

// The leaf's extension is the one that counts. One nearer the root that says something else would
// make the leaf a key of software that the real attestation is about (D-D4).
Appraised<AndroidKeyDescription> read_extension(const Statement& statement, const Chain& chain) {
  const auto* nearest = chain.leaf.extension(kKeyDescription);
  if (nearest == nullptr) {
    return refuse("android.extension",
                  "the leaf certificate has no key attestation (1.3.6.1.4.1.11129.2.1.17)");
  }
  for (const auto& certificate : chain.above) {
    const auto* other = certificate.extension(kKeyDescription);
    if (other != nullptr && !equal(other->value, nearest->value)) {
      return refuse("android.second-extension",
                    "a certificate above the leaf has a key attestation of its own, with other "
                    "content");
    }
  }
  auto read = parse_key_description(nearest->value);
  if (!read) {
    return refuse("android.key-description",
                  std::string("the leaf's key attestation is malformed: ") + read.error().what);
  }
  statement.passed("android.key-description", "the leaf's key attestation is well-formed");
  return std::move(*read);
}

// D-D4: the key authorization itself or its SHA-256. Given octets that begin with authData end with
// WebAuthn's clientDataHash, which is the challenge there.
Appraised<void> check_challenge(const Statement& statement, const AndroidKeyDescription& key) {
  const auto wanted = statement.to_be_signed();
  const auto& auth_data = statement.object.auth_data;
  bool holds = equal_constant_time(key.challenge, wanted) ||
               equal_constant_time(key.challenge, crypto::sha256(wanted));
  if (statement.challenge.to_be_signed && auth_data && !auth_data->empty() &&
      wanted.size() > auth_data->size() && equal(wanted.first(auth_data->size()), *auth_data)) {
    holds |= equal_constant_time(key.challenge, wanted.subspan(auth_data->size()));
  }
  if (!holds) {
    return refuse("android.challenge",
                  "attestationChallenge is neither this challenge's key authorization nor its "
                  "SHA-256 digest");
  }
  statement.passed("android.challenge", "attestationChallenge answers this challenge");
  return {};
}

Appraised<void> check_key_rules(const Statement& statement, const AndroidPolicy& policy,
                                const AndroidKeyDescription& key) {
  const auto level = std::min(key.attestation_security, key.keymint_security);
  const auto level_min =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(policy.security_min));
  if (level < level_min) {
    return refuse("android.security-level", "the key, or its attestation, is at security level " +
                                                std::to_string(level) + "; at least " +
                                                std::to_string(level_min) +
                                                " is needed (1 TEE, 2 StrongBox)");
  }
  statement.passed("android.security-level", "the key is in secure hardware, which attests it");
  if (key.software.all_applications || key.hardware.all_applications) {
    return refuse("android.all-applications",
                  "any application may use the key: it is nobody's in particular");
  }
  if (key.hardware.origin != kGenerated) {
    return refuse("android.origin", "the key was not generated in the secure hardware");
  }
  if (!key.hardware.purposes.contains(kPurposeSign))
    return refuse("android.purpose", "the secure hardware does not let the key sign");
  statement.passed("android.origin",
                   "the key was generated in the secure hardware, is one application's, and signs");
  return {};
}

Appraised<void> check_boot(const Statement& statement, const AndroidPolicy& policy,
                           const AndroidAuthorizations& hardware) {
  if (!hardware.root_of_trust) {
    return refuse("android.root-of-trust",
                  "the secure hardware does not say how the device was booted (rootOfTrust)");
  }
  const auto state = hardware.root_of_trust->verified_boot_state;
  if (!hardware.root_of_trust->device_locked)
    return refuse("android.device-unlocked", "the device's boot loader is unlocked");
  if (state != kVerified && !(state == kSelfSigned && policy.allow_self_signed_boot)) {
    return refuse("android.verified-boot",
                  "the verified boot state is " + std::to_string(state) + ", not 0 (verified)");
  }
  statement.passed("android.verified-boot", "the device is locked and booted as verified");
  return {};
}

// `asked` 0: not asked. A level that is not there, though asked for, is a refusal.
Appraised<void> check_patch(const Statement& statement, std::string_view id,
                            const std::optional<std::uint64_t>& found, std::uint64_t asked) {
  if (asked == 0) return {};
  if (!found || *found < asked) {
    return refuse(id, "the patch level is " + (found ? std::to_string(*found) : "not stated") +
                          "; at least " + std::to_string(asked) + " is needed");
  }
  statement.passed(id, "the patch level is " + std::to_string(*found));
  return {};
}

// Device identifiers stand where the secure hardware vouches for them, or they do not count.
std::vector<std::string> identifiers(const AndroidAuthorizations& hardware,
                                     const AndroidPolicy& policy) {
  const std::pair<AndroidIdentity, const std::optional<Bytes>*> all[] = {
      {AndroidIdentity::kSerial, &hardware.id_serial},
      {AndroidIdentity::kImei, &hardware.id_imei},
      {AndroidIdentity::kImei, &hardware.id_second_imei},
      {AndroidIdentity::kMeid, &hardware.id_meid}};
  std::vector<std::string> out;
  for (const auto& [kind, value] : all) {
    if (policy.identities.contains(kind) && *value && wire::is_valid_utf8(**value))
      out.emplace_back(text_of(**value));
  }
  return out;
}

}  // namespace

Appraised<AttestedKey> appraise_android(const Statement& statement, const AndroidPolicy& policy) {
  const auto& object = statement.object;
  if (!object.alg || !object.sig || object.x5c.empty())
    return refuse("android.members", "an android-key statement needs alg, sig and x5c");
  const auto chain = appraise_chain(statement, "android", policy.roots);
  if (!chain) return tl::unexpected<Refusal>(chain.error());
  KEYWARD_APPRAISE(check_revocation(statement, policy, *chain));
  KEYWARD_APPRAISE(check_signature(statement, "android", chain->leaf.key, statement.to_be_signed(),
                                   *object.sig));
  const auto read = read_extension(statement, *chain);
  if (!read) return tl::unexpected<Refusal>(read.error());
  KEYWARD_APPRAISE(check_challenge(statement, *read));
  KEYWARD_APPRAISE(check_key_rules(statement, policy, *read));
  KEYWARD_APPRAISE(check_boot(statement, policy, read->hardware));
  KEYWARD_APPRAISE(
      check_patch(statement, "android.os-patch", read->hardware.os_patch, policy.os_patch_min));
  KEYWARD_APPRAISE(check_patch(statement, "android.vendor-patch", read->hardware.vendor_patch,
                               policy.vendor_patch_min));
  KEYWARD_APPRAISE(check_patch(statement, "android.boot-patch", read->hardware.boot_patch,
                               policy.boot_patch_min));
  const auto key = certifiable_key(statement, "android", chain->leaf.key);
  if (!key) return tl::unexpected<Refusal>(key.error());
  KEYWARD_APPRAISE(
      check_identifier(statement, "android", identifiers(read->hardware, policy), policy.assigner));
  return AttestedKey{object.format, *key, true};  // generated in secure hardware, as it says
}

}  // namespace keyward::attest
