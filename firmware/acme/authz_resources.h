// Owns the authorization resource and newAuthz (RFC 8555 §7.4.1, §7.5, §7.5.2; RFC 9444). Must not
// know how a proof is verified.
#pragma once

#include "firmware/acme/request.h"

namespace keyward::acme {

Outcome<HttpResponse> new_authz(Context& context, const SignedRequest& request);
Outcome<HttpResponse> authorization(Context& context, const SignedRequest& request);

Outcome<wire::AuthzRecord> load_authz(Context& context, std::string_view id,
                                      const std::string& account_id);

// The identifier as other tasks compare it: the record may hold it as the client wrote it.
Outcome<wire::Identifier> canonical_of(const wire::AuthzRecord& authz);

}  // namespace keyward::acme
