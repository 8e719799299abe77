// Owns the appraisal of attestation statement format `apple`: Managed Device Attestation, not
// WebAuthn's anonymous attestation, which names no device. Must not know other formats. Apple's
// servers sign before the account is known: the statement answers the token alone (D-D5). Pure;
// threads: a function.
#pragma once

#include "firmware/attest/statement.h"

namespace keyward::attest {

// Codes, in order: apple.members, apple.account, apple.chain, apple.unknown-ca, apple.expired,
// apple.not-yet-valid, apple.freshness, apple.no-freshness, apple.anonymous, apple.key,
// apple.no-identifier, apple.identifier.
Appraised<AttestedKey> appraise_apple(const Statement& statement, const ApplePolicy& policy);

}  // namespace keyward::attest
