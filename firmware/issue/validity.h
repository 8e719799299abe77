// Owns how long a certificate is good: what a client may ask for (RFC 8555 §7.4), and what it gets.
// Must not know grants beyond their last moment. Times are whole seconds. Threads: functions.
#pragma once

#include <optional>

#include "firmware/issue/profile.h"
#include "firmware/issue/verdict.h"
#include "firmware/json/json.h"

namespace keyward::issue {

struct ValidityRules {
  std::int64_t backdate_ms = 60'000;              // before the present, at most
  std::int64_t ahead_ms_max = 30LL * 86'400'000;  // notBefore after the present, at most
};

// notBefore and notAfter of a newOrder, into `terms`: "validity-not-permitted".
Verdict<void> read_validity(const json::Value& new_order, const Profile& profile,
                            const Issuer& issuer, const ValidityRules& rules, std::int64_t now_ms,
                            wire::OrderTerms& terms);

// Of the certificate to be made now: exactly what the terms ask for, and by the profile where they
// ask for nothing. `not_after_max_ms`: the earliest last moment of the proofs it rests on (RFC 9447
// §7). "issuer-expired", "validity-not-permitted".
Verdict<Validity> certificate_validity(const wire::OrderTerms& terms, const Profile& profile,
                                       const Issuer& issuer, std::int64_t backdate_ms,
                                       std::optional<std::int64_t> not_after_max_ms,
                                       std::int64_t now_ms);

}  // namespace keyward::issue
