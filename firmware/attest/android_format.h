// Owns the appraisal of attestation statement format `android-key` (WebAuthn Level 3 §8.4; Android's
// key attestation; D-D4). Must not know other formats. Pure; threads: a function.
#pragma once

#include "firmware/attest/statement.h"

namespace keyward::attest {

// Codes, in order: android.members, android.chain, android.unknown-ca, android.expired,
// android.not-yet-valid, android.revoked, android.algorithm, android.signature, android.extension,
// android.second-extension, android.key-description, android.challenge, android.security-level,
// android.all-applications, android.origin, android.purpose, android.root-of-trust,
// android.device-unlocked, android.verified-boot, android.os-patch, android.vendor-patch,
// android.boot-patch, android.key, android.no-identifier, android.identifier.
Appraised<AttestedKey> appraise_android(const Statement& statement, const AndroidPolicy& policy);

}  // namespace keyward::attest
