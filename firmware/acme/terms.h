// Owns agreement to terms of service that have changed (RFC 8555 §7.3.3). Must not know orders.
//
// Who agreed to other terms than the configured ones cannot order or finalize; everything else goes
// on. The problem document's `instance` is a page of this appliance; its address names the account
// and is bound by a MAC to the account, the terms' URL and a time. Whoever has the address may
// agree: it is only ever told in answers to requests that the account signed.
#pragma once

#include "firmware/acme/context.h"
#include "firmware/acme/http.h"
#include "firmware/acme/routes.h"

namespace keyward::acme {

Outcome<void> require_terms(const Context& context, const Account& account);

// GET shows, POST agrees.
Outcome<HttpResponse> terms_page(Context& context, const HttpRequest& request,
                                 const RouteMatch& match);

}  // namespace keyward::acme
