// Owns account recovery (docs/protocols.md; the function that draft-barnes-acme had): another key for
// an account whose key was lost, under the same account URL. Must not know mail or HTML.
//
//   POST recoverAccount (jwk = the new key) -> pending; a code goes to the contacts that the account
//   had before, or the binding or the certificate is judged behind the answer
//     -> proved: processing; the cooling-off time runs, the contacts are told how to stop it
//     -> the old key or a contact's link says no: invalid
//     -> the time is over and the new key asks again: the key is replaced, valid
//
// Nothing tells whether an account exists: for one that does not, the same is stored, the same is
// answered, and nothing ever becomes of it; the account is looked at behind the answer alone.
//
// Grants at the signer do not follow: it believes a new key only on the old key's signature (a key
// change) or on proofs made with the new key, and here is neither. So a recovered account has its URL,
// its contacts and its terms, and proves its names anew; what the old key had begun ends. A broken
// acme or store can do no more with it than with an account of its own.
#pragma once

#include "firmware/acme/context.h"
#include "firmware/acme/http.h"
#include "firmware/acme/request.h"

namespace keyward::acme {

Outcome<HttpResponse> recover_account(Context& context, const SignedRequest& request);
Outcome<HttpResponse> recovery(Context& context, const SignedRequest& request);
// GET shows, POST vetoes.
Outcome<HttpResponse> veto_page(Context& context, const HttpRequest& request,
                                const RouteMatch& match);

// Ends the open ones of an account whose key has just shown itself. Nothing while recovery is off.
Outcome<void> end_recoveries(Context& context, const std::string& account_id);

}  // namespace keyward::acme
