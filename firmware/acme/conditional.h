// Owns conditional reading: whoever has an answer already is told so in place of getting it again.
// Must not know what is read.
//
// By ETag alone. Last-Modified is said and never compared: two revocation lists may be made within
// one second (RFC 9110 §8.8.2.2). Threads: function. Source: RFC 9110 §13.1.2, §13.2, §15.4.5.
#pragma once

#include "firmware/acme/http.h"

namespace keyward::acme {

// A 200 to GET or HEAD whose ETag stands in If-None-Match becomes 304 without body.
void answer_conditionally(const HttpRequest& request, HttpResponse& response);

}  // namespace keyward::acme
