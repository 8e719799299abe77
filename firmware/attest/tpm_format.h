// Owns the appraisal of attestation statement format `tpm` (WebAuthn Level 3 §8.3; TPM 2.0 Part 2).
// Must not know other formats. Pure; threads: a function. Codes: device_attest.h.
#pragma once

#include "firmware/attest/device_attest.h"

namespace keyward::attest {

// `to_be_signed`: the octets that the statement must have signed: the key authorization, or what
// another specification has there (vectors).
Appraised<AttestedKey> appraise_tpm(const AttestationObject& object,
                                    const wire::Identifier& identifier, ByteView to_be_signed,
                                    const DeviceAttestPolicy& policy, std::int64_t at_utc_ms,
                                    Checks* checks = nullptr);

}  // namespace keyward::attest
