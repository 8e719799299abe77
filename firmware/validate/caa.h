// Owns Certification Authority Authorization: which CAA records are relevant to a name, and whether
// they let this CA issue to this account by this method (RFC 8659, RFC 8657). Must not know grants.
//
// Problem codes: "caa.forbidden", "caa.account", "caa.method", "caa.malformed", "caa.critical" of
// type "caa"; the resolver's of type "dns" when the question could not be answered: what cannot be
// read does not permit. Threads: any.
#pragma once

#include <span>

#include "firmware/validate/look.h"
#include "firmware/validate/resolver.h"

namespace keyward::validate {

struct CaaQuestion {
  std::vector<std::string> identities;  // lower case; this CA's names
  std::string name;                     // dns, canonical, no wildcard
  bool wildcard = false;                // the names below are asked for too
  std::string method;                   // label as RFC 8657 §4 lists it: the challenge's type
  std::string account_url;
};

struct CaaOutcome {
  std::optional<wire::ChallengeProblem> problem;  // absent: may issue
  bool account_url_counted = false;               // only for this account URL: a record said so
};

// Of one relevant record set (RFC 8659 §4), RDATA each; an empty one restricts nothing.
CaaOutcome caa_decide(std::span<const Bytes> records, const CaaQuestion& question);
// Climbs from the name towards the root until a name has CAA records (RFC 8659 §3).
CaaOutcome caa_look(const CaaQuestion& question, Resolver& resolver, Deadline deadline);

}  // namespace keyward::validate
