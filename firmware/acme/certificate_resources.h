// Owns the download of certificates (RFC 8555 §7.4.2): formats, alternate chains, the issuers'
// certificates. Must not know how certificates come about.
//
// A certificate never changes. What is fetched by GET may be cached for good; the answer to a POST
// may not be kept, as it carries a nonce (RFC 8555 §6.5.1).
#pragma once

#include "firmware/acme/request.h"

namespace keyward::acme {

Outcome<HttpResponse> certificate(Context& context, const SignedRequest& request);
// /acme/certificate/{id}/{n}: the same certificate above alternate chain n, counted from 1.
Outcome<HttpResponse> alternate_certificate(Context& context, const SignedRequest& request);
// GET /acme/issuer/{id}: a certificate of an issuing chain, named by the SHA-256 of its DER.
Outcome<HttpResponse> issuer_certificate(Context& context, std::string_view id);

// A chain, leaf first, in the format that `accept` asks for, with Link "up" where the format leaves
// the issuer out; 406 if none fits.
Outcome<HttpResponse> chain_response(Context& context, const std::vector<Bytes>& chain,
                                     std::string_view accept);

}  // namespace keyward::acme
