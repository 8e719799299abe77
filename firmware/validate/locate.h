// Owns the way from a host to the addresses that this appliance may connect to. Must not know any
// protocol above TCP. Threads: any.
#pragma once

#include "firmware/validate/look.h"
#include "firmware/validate/resolver.h"

namespace keyward::validate {

// Fills `out`, IPv6 first, with what the policy allows; a literal address is not looked up. A
// problem "dns" with the resolver's code, or "connection" "egress.refused", leaves it empty.
std::optional<wire::ChallengeProblem> locate(const std::string& host, const EgressPolicy& egress,
                                             Resolver& resolver, Deadline deadline,
                                             std::vector<IpAddress>& out);

}  // namespace keyward::validate
