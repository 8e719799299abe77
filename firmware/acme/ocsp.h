// Owns OCSP as anybody may ask for it over HTTP. Must not know what is asked nor what is answered:
// the signer reads the one and makes the other.
//
// POST with application/ocsp-request, and GET with the request in the path (RFC 6960 A.1); what may be
// kept says so to caches (RFC 5019 §6). Threads: functions.
#pragma once

#include <string_view>

#include "firmware/acme/http.h"
#include "firmware/acme/problem.h"

namespace keyward::acme {

struct Context;

// 404: this installation has no responder; 415: another media type.
Outcome<HttpResponse> ocsp_by_post(Context& context, const HttpRequest& request);
// `encoded`: base64, percent-encoded where the client thought it must be.
Outcome<HttpResponse> ocsp_by_get(Context& context, std::string_view encoded);

}  // namespace keyward::acme
