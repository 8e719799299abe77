// Owns the arithmetic and the terms of short-term, automatically renewed certificates (RFC 8739).
// Must not know tickets, ledger or tokens.
//
// A series has numbered periods. Period i begins, by name, at nrd(i) = start + i * lifetime; its
// certificate is good until nrd(i) + lifetime, never beyond the end, and from some time before
// nrd(i), never before the start (§3.5, with f = 1/2). It is made, and may be fetched, half a
// lifetime before nrd(i): from then it is good, and the one before it has half its period left
// (§3.3). Who comes later gets the latest period that is due; those in between are left out.
// Threads: functions.
#pragma once

#include <optional>

#include "firmware/issue/validity.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"

namespace keyward::issue {

// The `auto-renewal` object of a newOrder (§3.1.1): "star-terms", "star-not-offered". Its times hold
// for certificates to the second.
Verdict<wire::StarTerms> read_star(const json::Value& object, const Profile& profile,
                                   const Issuer& issuer, const ValidityRules& rules,
                                   std::int64_t now_ms);

// The client's own word that ends a series (§3.1.2), exactly {"status":"canceled"}:
// "payload-malformed".
Verdict<void> read_cancellation(const jose::VerifiedJws& jws);

// Whether a certificate of these terms may be made for now: "star-not-offered" (the profile has no
// renewal any more), "ticket-expired" (the first one is asked for too late). Nothing to say about
// orders without renewal.
Verdict<void> check_series(const wire::OrderTerms& terms, const Profile& profile, bool renews,
                           std::int64_t now_ms);

// The period to be certified at `now_ms`. "star-expired": after the end.
Verdict<std::uint64_t> star_period(const wire::StarTerms& star, std::int64_t now_ms);
// When the certificate of this period may be made; absent: the series ended before it.
std::optional<std::int64_t> star_due_ms(const wire::StarTerms& star, std::uint64_t period);
Validity star_validity(const wire::StarTerms& star, std::uint64_t period);

}  // namespace keyward::issue
