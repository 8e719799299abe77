// Owns the change of an account's key (RFC 8555 §7.3.5). Must not know how the signer and the store
// keep keys.
//
// The signer moves first, on the client's own outer JWS: what the old key proved is the new key's
// from then on. Then the store gives the account the new key. When the store fails in between, the
// account still has the old key, and the client, who was told 503, sends the change again (a new
// nonce, the same two keys): the signer finds it done and says yes again, the store catches up. If
// the client asks for another new key instead, the signer refuses ("key-replaced"): it has seen the
// first one. Nobody gains anything in between: whoever holds the new key has signed the inner JWS
// with it.
#pragma once

#include "firmware/acme/context.h"
#include "firmware/acme/request.h"

namespace keyward::acme {

Outcome<HttpResponse> key_change(Context& context, const SignedRequest& request);

}  // namespace keyward::acme
