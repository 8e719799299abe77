// Owns authorizations and challenges (RFC 8555 §7.5; device-attest-10 §5). Must not know how a
// proof is verified: validation and attestation do that, and give the signer the grant.
#pragma once

#include "firmware/acme/request.h"

namespace keyward::acme {

Outcome<HttpResponse> authorization(Context& context, const SignedRequest& request);
Outcome<HttpResponse> challenge(Context& context, const SignedRequest& request);

// Takes up a challenge that is processing: asks validation in the background until it is decided.
void resume_validation(Context& context, const std::string& authz_id,
                       const std::string& challenge_id, const std::string& account_id);

}  // namespace keyward::acme
