#include "firmware/validate/locate.h"

namespace keyward::validate {

std::optional<wire::ChallengeProblem> locate(const std::string& host, const EgressPolicy& egress,
                                             Resolver& resolver, Deadline deadline,
                                             std::vector<IpAddress>& out) {
  Resolution found;
  if (const auto literal = IpAddress::parse(host)) {
    found.addresses.push_back(*literal);
  } else {
    found = resolver.resolve(host, deadline);
    if (!found.code.empty()) return problem("dns", found.code, shown(host) + ": " + found.detail);
  }
  for (const auto& address : found.addresses) {
    if (egress.allows(address)) out.push_back(address);
  }
  if (!out.empty()) return std::nullopt;
  return problem("connection", "egress.refused",
                 shown(host) + " is at " + found.addresses.front().text() +
                     ", and this appliance connects to no such address");
}

}  // namespace keyward::validate
