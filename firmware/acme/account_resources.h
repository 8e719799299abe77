// Owns newAccount, account and the orders list (RFC 8555 §7.1.2, §7.3). Must not know transport.
#pragma once

#include "firmware/acme/request.h"

namespace keyward::acme {

Outcome<HttpResponse> new_account(Context& context, const SignedRequest& request);
Outcome<HttpResponse> account(Context& context, const SignedRequest& request);
Outcome<HttpResponse> orders(Context& context, const SignedRequest& request);

// RFC 8555 §7.3: mailto alone, one address, no header fields.
Outcome<void> check_contact(std::string_view contact);

// A JSON answer.
HttpResponse json_response(int status, std::string body);

}  // namespace keyward::acme
