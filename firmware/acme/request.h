// Owns the checks that every POST passes before its payload may be looked at (RFC 8555 §6.2 to
// §6.5). Must not know resources.
//
// Order, cheap before expensive: media type, size, JWS form, header, algorithm, nonce, url, kind of
// key, account, signature. The nonce is consumed as soon as it is read: a request that fails later
// has used it.
#pragma once

#include "firmware/acme/context.h"
#include "firmware/acme/nonces.h"
#include "firmware/acme/problem.h"
#include "firmware/acme/routes.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"

namespace keyward::acme {

// Exists only with a verified signature.
struct SignedRequest {
  RouteMatch match;
  wire::ClientJws original;  // what the signature covers, for the tasks that verify it again
  jose::VerifiedJws verified;
  AccountPtr account;             // null where the request is signed by a key alone
  std::string peer_address = {};  // for rate limits; not authenticated
  std::string accept = {};        // header of that name, as sent
  bool is_read() const { return verified.payload_is_empty(); }  // POST-as-GET, §6.3
};

Outcome<SignedRequest> authenticate(Context& context, Nonces& nonces, const HttpRequest& request,
                                    const RouteMatch& match);

// The payload as a JSON object; else "malformed".
Outcome<json::Document> payload_object(const SignedRequest& request);
// The payload as any JSON value; else "malformed".
Outcome<json::Document> payload_json(const SignedRequest& request);
// Refuses a payload where only POST-as-GET makes sense.
Outcome<void> require_read(const SignedRequest& request);

// Unknown and foreign resources get the same answer, so that nobody can probe (D-A8, §10.5).
Problem not_found();

}  // namespace keyward::acme
