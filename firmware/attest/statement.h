// Owns what every attestation statement format is asked, and the steps that formats share: the
// chain, COSE algorithms, the comparison with the order's identifier. Must not know any format.
// Pure; threads: values and functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/attest/attestation_object.h"
#include "firmware/attest/checks.h"
#include "firmware/attest/device_attest.h"
#include "firmware/attest/refusal.h"

namespace keyward::attest {

// One statement with what it must answer. All views outlive the appraisal.
struct Statement {
  const AttestationObject& object;
  const wire::Identifier& identifier;
  const DeviceChallenge& challenge;
  const DeviceAttestPolicy& policy;
  std::int64_t at_utc_ms = 0;
  Checks* checks = nullptr;

  void passed(std::string_view id, std::string_view text) const { note(checks, id, text); }
  // What the statement must have signed: the octets that were given, else the key authorization.
  ByteView to_be_signed() const {
    return challenge.to_be_signed ? ByteView(*challenge.to_be_signed)
                                  : view_of(challenge.key_authorization);
  }
};

// A named format's words: "packed" gives codes "packed.chain" and so on.
struct Chain {
  x509::Certificate leaf;
  std::vector<x509::Certificate> above;  // as they came, not all of them in the path
};
// Reads x5c and walks it to one of `roots`. Codes: ".chain", ".unknown-ca", ".expired",
// ".not-yet-valid".
Appraised<Chain> appraise_chain(const Statement& statement, std::string_view format,
                                const std::vector<x509::Certificate>& roots);

struct CoseAlgorithm {
  std::int64_t id;
  crypto::SignatureScheme scheme;
  crypto::HashAlgorithm hash;
};
// RFC 9053: ES, RS, PS with SHA-256 to -512 and EdDSA. No SHA-1.
std::optional<CoseAlgorithm> cose_algorithm(std::optional<std::int64_t> id);

// `message` is signed by `key` as the member `alg` says. Codes: ".algorithm", ".signature".
Appraised<void> check_signature(const Statement& statement, std::string_view format,
                                const std::optional<crypto::PublicKey>& key, ByteView message,
                                ByteView signature);

// A key that a certificate may be for: P-256, P-384, RSA (what the signer takes). Code: ".key".
Appraised<crypto::PublicKey> certifiable_key(const Statement& statement, std::string_view format,
                                             const std::optional<crypto::PublicKey>& key);

// The order's identifier is one of `asserted`, octet by octet; a permanent-identifier's assigner is
// `assigner` (D-D8), a hardware-module's type is the policy's for this format (D-D9). Codes:
// ".no-identifier" (a comparison with nothing), ".identifier".
Appraised<void> check_identifier(const Statement& statement, std::string_view format,
                                 std::span<const std::string> asserted, std::string_view assigner);

}  // namespace keyward::attest
