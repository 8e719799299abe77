// Owns revokeCert (RFC 8555 §7.6). Must not know who may revoke what: the signer is given the
// client's own JWS, decides, and records (DESIGN §2.4).
//
// The signer's record is the revocation. The store is told afterwards, so that renewal information
// (RFC 9773) follows; when it does not answer, it is told again in the background. If this task ends
// before that, the mark is made when the client asks for the revocation once more and the signer
// says that it has happened: the time is then that of the second request.
#pragma once

#include "firmware/acme/request.h"

namespace keyward::acme {

// Signed by an account (kid) or by the certificate's own key (jwk).
Outcome<HttpResponse> revoke_certificate(Context& context, const SignedRequest& request);

}  // namespace keyward::acme
