// Owns the resources of the attestation CA: a TPM's attestation key gets a certificate
// (docs/attestation-ca.md). Must not know what the payloads hold: attestation judges them, and the
// signer issues on its grant and the client's own JWS alone.
#pragma once

#include "firmware/acme/http.h"
#include "firmware/acme/request.h"

namespace keyward::acme {

// A device shows its endorsement certificate and its attestation key; 200 with the credential that
// only the TPM which holds both can open.
Outcome<HttpResponse> ak_begin(Context& context, const SignedRequest& request);
// What it got out of the credential; 200 with the certificate chain. The same session again gives
// the same certificate, so that a client whose answer was lost asks once more.
Outcome<HttpResponse> ak_activate(Context& context, const SignedRequest& request);

}  // namespace keyward::acme
