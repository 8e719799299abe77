// Owns the challenge resource (RFC 8555 §7.5.1; device-attest-10 §5; RFC 9447 §4). Must not know how
// a proof is verified: validation, attestation and signer do that.
#pragma once

#include "firmware/acme/request.h"

namespace keyward::acme {

Outcome<HttpResponse> challenge(Context& context, const SignedRequest& request);

// The slides' form of a vendor's proof (D-T2): {"jwt": …} at the authorization's own URL. What is
// then true of the authorization.
Outcome<wire::AuthzRecord> vendor_jwt(Context& context, const SignedRequest& request,
                                      const wire::AuthzRecord& authz, const json::Value& payload);

}  // namespace keyward::acme
