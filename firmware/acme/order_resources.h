// Owns newOrder, order and finalize (RFC 8555 §7.4). Must not know transport or
// policy: the signer decides.
#pragma once

#include "firmware/acme/request.h"

namespace keyward::acme {

Outcome<HttpResponse> new_order(Context& context, const SignedRequest& request);
Outcome<HttpResponse> order(Context& context, const SignedRequest& request);
Outcome<HttpResponse> finalize(Context& context, const SignedRequest& request);

}  // namespace keyward::acme
