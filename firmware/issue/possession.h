// Owns proof-of-possession-01 (docs/protocols.md): the challenge's token, and the statement that
// the key of an earlier certificate signed. Must not know where certificates are kept. Threads:
// functions.
//
// The statement is a flattened JWS with the certificate's key in `jwk` and a `url` of this CA; its
// payload has exactly the members type, identifiers, accountKey and token. The token is the
// signer's own (expiry, random octets, and an HMAC over these, account and identifier), so that a
// front end cannot use a statement for another account, name or time than it was made for.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "firmware/issue/client_jws.h"
#include "firmware/issue/ledger_rows.h"
#include "firmware/issue/ticket.h"
#include "firmware/wire/messages/possession_verify.h"
#include "firmware/x509/certificate.h"

namespace keyward::issue {

inline constexpr std::string_view kPossessionChallenge = "proof-of-possession-01";

std::string mint_possession_token(const TicketKey& key, const Digest256& thumbprint,
                                  const wire::Identifier& identifier, std::int64_t expires_at_ms);
// "possession-token" (not minted for this), "possession-token-expired".
Verdict<void> check_possession_token(const TicketKey& key, std::string_view token,
                                     const Digest256& thumbprint,
                                     const wire::Identifier& identifier, std::int64_t now_ms);

// The key that signed a statement which says what it must. Codes: those of client_jws.h;
// "possession-url"; "possession-payload" (other members, or malformed); "possession-identifier",
// "possession-account", "possession-token" (it speaks of others).
Verdict<jose::Jwk> read_possession(const wire::PossessionVerify& request,
                                   std::string_view base_url);

// A certificate stands for `identifier` if it is valid now, holds it as a name, and was itself not
// issued on a proof of possession: without that, one old proof would be renewed for ever by
// whoever has a key.
bool proves_identifier(const x509::Certificate& certificate, const IntentRow& intent,
                       const wire::Identifier& identifier, std::int64_t now_ms);

}  // namespace keyward::issue
