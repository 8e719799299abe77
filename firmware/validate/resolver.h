// Owns name resolution for validations: static hosts first, then libunbound (own recursion or
// forwarders, DNSSEC when a trust anchor is given). Must not know HTTP or policy. Threads: any.
// Errors stand in Resolution::code, since a name that does not exist is not our fault.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "firmware/validate/address.h"
#include "hal/base/clock.h"

namespace keyward::validate {

struct Resolution {
  std::vector<IpAddress> addresses;  // IPv6 first
  std::string code;    // empty: resolved. "dns.nxdomain", "dns.servfail", "dns.bogus",
                       // "dns.no-address", "dns.timeout"
  std::string detail;  // words for a person
};

class Resolver {
 public:
  virtual ~Resolver() = default;
  virtual Resolution resolve(const std::string& name, Deadline deadline) = 0;
};

// Names that the installation fixes; nothing else exists.
using StaticHosts = std::map<std::string, std::vector<IpAddress>>;
// From "name=address" lines. kBadInput.
Result<StaticHosts> parse_hosts(const std::vector<std::string>& lines);

struct ResolverOptions {
  StaticHosts hosts;
  std::vector<std::string>
      forward;               // "address" or "address@port"; empty: own recursion from the root
  std::string trust_anchor;  // file with the root's DS or DNSKEY; empty: no DNSSEC
};

// kBadInput if a forwarder or the trust anchor is not one.
Result<std::unique_ptr<Resolver>> make_resolver(ResolverOptions options);

}  // namespace keyward::validate
