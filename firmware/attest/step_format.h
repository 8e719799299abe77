// Owns the appraisal of attestation statement format `step`: a key in a PIV slot of a YubiKey,
// attested by the slot certificate that the token signs itself. Must not know other formats. Pure;
// threads: a function.
#pragma once

#include "firmware/attest/statement.h"

namespace keyward::attest {

// Codes, in order: step.members, step.signature-form, step.chain, step.unknown-ca, step.expired,
// step.not-yet-valid, step.algorithm, step.signature, step.firmware, step.policy, step.pin-policy,
// step.touch-policy, step.key, step.serial, step.no-identifier, step.identifier.
Appraised<AttestedKey> appraise_step(const Statement& statement, const StepPolicy& policy);

}  // namespace keyward::attest
