// Owns the appraisal of a device-attest-01 response (device-attest-10 §5; protocols: order of
// validation). Pure: bytes, anchors and a time in, a decision out. Must not know sockets, tokens or
// grants.
#pragma once

#include <string>
#include <vector>

#include "firmware/attest/attestation_object.h"
#include "firmware/attest/refusal.h"
#include "firmware/crypto/crypto.h"
#include "firmware/wire/messages/common.h"
#include "firmware/x509/certificate.h"

namespace keyward::attest {

struct DeviceAttestPolicy {
  std::vector<x509::Certificate> ak_anchors;  // CAs trusted to certify attestation keys
};

struct AttestedKey {
  std::string format;
  crypto::PublicKey key;  // what the certificate must carry
};

// The statement proves that a key lives in the device `identifier`, and answers
// `key_authorization`. Codes beside ak_certificate.h's: "format.unsupported", "format.none",
// "tpm.version", "tpm.members", "tpm.algorithm", "tpm.signature", "tpm.cert-info",
// "tpm.extra-data", "tpm.pub-area", "tpm.name", "tpm.fixed-tpm", "tpm.fixed-parent", "tpm.origin",
// "tpm.restricted", "tpm.sign", "tpm.key-size", "tpm.key-type", "identifier.unsupported".
Appraised<AttestedKey> appraise_device(ByteView attestation_object,
                                       const wire::Identifier& identifier,
                                       std::string_view key_authorization,
                                       const DeviceAttestPolicy& policy, std::int64_t at_utc_ms);

// The `tpm` format alone, with the octets that the statement must have signed (also used by tests
// with vectors of other implementations).
Appraised<AttestedKey> appraise_tpm(const AttestationObject& object,
                                    const wire::Identifier& identifier, ByteView to_be_signed,
                                    const DeviceAttestPolicy& policy, std::int64_t at_utc_ms);

}  // namespace keyward::attest
