// Owns certificates that are renewed by themselves (RFC 8739): their download, their cancellation,
// and the making of the next one. Must not know their terms' rules: the signer read the terms from
// the client's newOrder, and makes a certificate only when the terms call for one.
//
// The store keeps the client's finalize and the time of the next certificate (`star_next_at_ms`, as
// the signer said it: while the current one still has half of its life). The look at the store for
// unfinished work finds what is due, after a restart as well, and the making is tried again with
// back-off for as long as the order stays valid.
#pragma once

#include "firmware/acme/request.h"

namespace keyward::acme {

// POST-as-GET of /acme/star-certificate/{ticket}
Outcome<HttpResponse> star_certificate(Context& context, const SignedRequest& request);
// GET of the same, where the order was made with "allow-certificate-get". Any other order, and none,
// give one answer: 405.
Outcome<HttpResponse> star_certificate_unsigned(Context& context, std::string_view ticket,
                                                std::string_view accept);

// POST {"status":"canceled"} to an order.
Outcome<void> cancel_order(Context& context, const SignedRequest& request);

// Makes the next certificate in the background, unless somebody is at it already.
void post_renewal(Context& context, const std::string& ticket, const std::string& account_id);

}  // namespace keyward::acme
