// Owns the challenge resource (RFC 8555 §7.5.1; device-attest-10 §5; RFC 9447 §4). Must not know how
// a proof is verified: validation, attestation and signer do that.
#pragma once

#include "firmware/acme/request.h"

namespace keyward::acme {

Outcome<HttpResponse> challenge(Context& context, const SignedRequest& request);

}  // namespace keyward::acme
