// Owns the appraisal of attestation statement format `packed` (WebAuthn Level 3 §8.2) as D-D6 has it:
// with authData, whose credential key becomes the attested one; never self attestation. Must not
// know other formats. Pure; threads: a function.
#pragma once

#include "firmware/attest/statement.h"

namespace keyward::attest {

// Codes, in order: packed.members, packed.self, packed.auth-data, packed.chain, packed.unknown-ca,
// packed.expired, packed.not-yet-valid, packed.version, packed.subject, packed.ca,
// packed.algorithm, packed.signature, packed.aaguid, packed.model, packed.backup-eligible,
// packed.key, packed.serial, packed.no-identifier, packed.identifier.
Appraised<AttestedKey> appraise_packed(const Statement& statement, const PackedPolicy& policy);

}  // namespace keyward::attest
