// Owns the attestation CA's protocol (docs/attestation-ca.md): its payloads, what an attestation key
// must be, sessions, and the grant that a TPM earns by opening its credential. Must not know sockets,
// accounts beyond a thumbprint, or where policy and inventory come from.
//
// Sessions are stateless: a MAC keeps what begin() found until activate(); the credential's secret is
// derived from the session, so that nothing is stored and a restart forgets nothing. Threads: any.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "firmware/attest/ek_certificate.h"
#include "firmware/wire/messages/grant_ak.h"

namespace keyward::attest {

enum class DeviceStanding : std::uint8_t { kGood = 1, kQuarantined = 2, kRetired = 3 };
struct KnownDevice {
  DeviceStanding standing = DeviceStanding::kGood;
  std::vector<wire::Identifier> identifiers;  // canonical; empty: the default one
};
// By the SHA-256 of the EK certificate's DER or of the EK's SubjectPublicKeyInfo, or of an
// attestation key's that was enrolled and then revoked. None: not in the inventory. Threads: any.
struct DeviceQuestion {
  Digest256 ek_certificate_sha256{}, ek_spki_sha256{}, ak_spki_sha256{};
};
using FindDevice = std::function<std::optional<KnownDevice>(const DeviceQuestion&)>;

struct AttestationCaPolicy {
  EkPolicy ek;
  bool must_be_known = false;  // inventory = "required"
  FindDevice find_device{};    // null: nobody is asked (inventory = "off")
};

struct AkBeginRequest {
  Bytes ek_certificate;
  std::vector<Bytes> ek_chain;
  Bytes ek_public;  // empty: as the TCG's template
  Bytes ak_public;
};
struct AkActivateRequest {
  std::string session;
  Bytes secret;
};
// "payload.malformed".
Appraised<AkBeginRequest> read_ak_begin(ByteView payload);
Appraised<AkActivateRequest> read_ak_activate(ByteView payload);

// An attestation key as TCG's and this product's rules want it. Codes: "ak.public", "ak.fixed-tpm",
// "ak.fixed-parent", "ak.origin", "ak.restricted", "ak.sign", "ak.decrypt", "ak.type", "ak.scheme",
// "ak.name-alg".
Appraised<TpmPublicArea> check_ak_public(ByteView public_area);

struct AkBegun {
  MadeCredential credential;
  std::string session;  // base64url
  std::int64_t expires_at_ms = 0;
};
std::string to_json(const AkBegun& begun);

class AttestationCa {
 public:
  // Reads the session key, or makes it if the file is missing. kUnavailable, kCorrupt.
  static Result<AttestationCa> open(const std::string& key_path);

  // Codes beside those of the functions above and of ek_certificate.h: "device.unknown",
  // "device.quarantined", "device.retired", "ek.credential" (none can be made for this EK).
  Appraised<AkBegun> begin(const Digest256& thumbprint, ByteView payload,
                           const AttestationCaPolicy& policy, std::int64_t now_ms) const;
  // The grant that the signer is to be told. Codes: "payload.malformed", "session.forged" (also:
  // another account's), "session.expired", "ak.credential" (not what the credential held),
  // "device.unknown", "device.quarantined", "device.retired" (since begin()).
  Appraised<wire::GrantAk> activate(const Digest256& thumbprint, ByteView payload,
                                    const AttestationCaPolicy& policy, std::int64_t now_ms,
                                    DeviceQuestion* about = nullptr) const;  // for the inventory

 private:
  explicit AttestationCa(SecretBytes key) : key_(std::move(key)) {}
  Digest256 derived(std::string_view label, ByteView session) const;
  SecretBytes key_;
};

// Type of the ACME problem for a code: "malformed", "unauthorized" or "badAttestationStatement".
std::string_view problem_type_of(std::string_view code);

}  // namespace keyward::attest
