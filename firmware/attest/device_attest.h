// Owns the appraisal of a device-attest-01 response (device-attest-10 §5; protocols: order of
// validation). Pure: bytes, anchors and a time in, a decision out. Must not know sockets, tokens or
// grants.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/attest/attestation_object.h"
#include "firmware/attest/checks.h"
#include "firmware/attest/format_policies.h"
#include "firmware/attest/refusal.h"
#include "firmware/crypto/crypto.h"
#include "firmware/wire/messages/common.h"
#include "firmware/x509/certificate.h"

namespace keyward::attest {

struct DeviceAttestPolicy {
  std::vector<x509::Certificate> ak_anchors;  // CAs trusted to certify attestation keys
  // Format -> hwType (dotted): a hardware-module of that type is met by the serial that the format
  // asserts (D-D9). A format that is not there: by what the statement itself calls a hardware
  // module.
  std::map<std::string, std::string> hardware_module_types{};
  bool tpm_allow_rs1 = false;  // tpm: the AK's signature may be RSASSA-PKCS1-v1_5 with SHA-1 (D-D3)
  // Formats that are off unless they are here; tpm is on unless it is switched off.
  bool tpm = true;
  std::optional<PackedPolicy> packed{};
  std::optional<ApplePolicy> apple{};
  std::optional<AndroidPolicy> android{};
  std::optional<StepPolicy> step{};
  // tpm, D-D7: identifiers of the device that an enrolment record gives to this attestation key
  // (SHA-256 of its SPKI), where its certificate names no device. Null: a certificate must name one.
  std::function<std::vector<wire::Identifier>(const Digest256&)> identity_by_enrolment{};
};

// What a statement must answer.
struct DeviceChallenge {
  std::string key_authorization;        // token || "." || thumbprint
  std::optional<Bytes> to_be_signed{};  // instead: the octets of another specification (vectors)
  bool account_admitted = false;        // by an external account binding that still stands
  std::string_view token() const {      // what formats sign that know no account (Apple)
    return std::string_view(key_authorization).substr(0, key_authorization.find('.'));
  }
};

struct AttestedKey {
  std::string format;
  crypto::PublicKey key;        // what the certificate must carry
  bool non_exportable = false;  // the statement proves that the key cannot leave its hardware
  std::optional<Digest256> ak_spki_sha256{};  // tpm: of the attestation key
  std::optional<Bytes> ak_serial{};           // tpm: of its certificate
};

// The statement proves that a key lives in the device `identifier`, and answers `challenge`. Passed
// checks are added to `checks`, if it is there. Codes beside ak_certificate.h's and those of the
// formats' headers: "cbor.malformed", "object.members", "format.unsupported", "format.none",
// "tpm.version", "tpm.members", "tpm.algorithm", "tpm.signature", "tpm.cert-info",
// "tpm.extra-data", "tpm.pub-area", "tpm.name", "tpm.fixed-tpm", "tpm.fixed-parent", "tpm.origin",
// "tpm.restricted", "tpm.sign", "tpm.key-size", "tpm.key-type", "tpm.signature-form",
// "identifier.unsupported", "identifier.exportable".
Appraised<AttestedKey> appraise_device(ByteView attestation_object,
                                       const wire::Identifier& identifier,
                                       const DeviceChallenge& challenge,
                                       const DeviceAttestPolicy& policy, std::int64_t at_utc_ms,
                                       Checks* checks = nullptr);
inline Appraised<AttestedKey> appraise_device(ByteView attestation_object,
                                              const wire::Identifier& identifier,
                                              std::string_view key_authorization,
                                              const DeviceAttestPolicy& policy,
                                              std::int64_t at_utc_ms) {
  return appraise_device(attestation_object, identifier,
                         DeviceChallenge{std::string(key_authorization)}, policy, at_utc_ms);
}

std::string format_names(const DeviceAttestPolicy& policy);  // those that are on, "tpm, step"

// RFC 4108 names the module that a key lives in: only a key that cannot leave it may bear the name.
// "identifier.exportable".
Appraised<void> check_module_key(const wire::Identifier& identifier, const AttestedKey& attested);

}  // namespace keyward::attest
