// Owns the background work on challenges that are looked for: tries, pauses, the end (RFC 8555
// §8.2; D-A5). Must not know HTTP, nor how a look is done: validation does it, and gives the signer
// the grant.
#pragma once

#include "firmware/acme/context.h"

namespace keyward::acme {

// Takes up a challenge that is processing: asks validation in the background until it is decided.
void resume_validation(Context& context, const std::string& authz_id,
                       const std::string& challenge_id, const std::string& account_id);
// The client asks for another look now (§8.2). Not sooner than limits::kValidationHurryMs after the
// last one, and within the tries that the challenge has anyway.
void hurry_validation(Context& context, const std::string& authz_id,
                      const std::string& challenge_id);
// Waits a moment for the end of a look; false: it goes on.
bool wait_for_validation(Context& context, const std::string& authz_id,
                         const std::string& challenge_id);

wire::ChallengeUpdate challenge_update(const wire::ChallengeRecord& challenge,
                                       wire::ChallengeStatus status);
const wire::ChallengeRecord* find_challenge(const wire::AuthzRecord& authz, std::string_view id);

}  // namespace keyward::acme
