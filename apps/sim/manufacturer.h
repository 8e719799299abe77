// Owns the make-believe manufacturer whose CA vouches for the attestation keys of simulated
// devices. Its key lies in a file and proves nothing outside a simulator. Must not know TPM
// commands or ACME.
#pragma once

#include <string>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::simulator {

// Makes ca.key (0600) and ca.pem in `dir` unless both are there.
Status make_manufacturer(const std::string& dir);

// The AK certificate (DER) for a key whose TPMT_PUBLIC is given; the device is called `name`.
// TCG EK Credential Profile §3.2.9, WebAuthn §8.3.1: empty subject, critical SAN with the TPM's
// manufacturer, model and version, EKU 2.23.133.8.3, not a CA; RFC 4043 permanentIdentifier = name;
// RFC 4108 HardwareModuleName = the same as the serial of a TPM 2.0.
Result<Bytes> certify_attestation_key(const std::string& dir, ByteView ak_public_area,
                                      const std::string& name);

}  // namespace keyward::simulator
