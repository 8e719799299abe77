// Owns what the DNS says, for validations: static hosts first for addresses, then libunbound (own
// recursion or forwarders, DNSSEC when a trust anchor is given, TCP when an answer does not fit).
// Must not know HTTP, policy or what a record means.
// Errors stand in Resolution::code and Records::code, since a name that does not exist is not our
// fault. Nothing is kept from one validation to the next, whatever its TTL: an answer of before
// proves nothing now (dns-persist-01 -02), and a client that has just put its record there is not
// told of the time when it was not. Threads: a NameServers any, a Resolver one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "firmware/validate/address.h"
#include "hal/base/bytes.h"
#include "hal/base/clock.h"
#include "hal/base/limits.h"

namespace keyward::validate {

struct Resolution {
  std::vector<IpAddress> addresses;  // IPv6 first
  std::string code;    // empty: resolved. "dns.nxdomain", "dns.servfail", "dns.bogus",
                       // "dns.no-address", "dns.timeout"
  std::string detail;  // words for a person
};

enum class RecordType : int { kTxt = 16, kCaa = 257 };  // RFC 1035, RFC 8659 §4

struct Records {
  std::vector<Bytes> data;  // RDATA as on the wire; limits::kDnsRecordsMax, kDnsRecordBytesMax
  bool secure = false;      // passed DNSSEC validation down from the trust anchor
  std::string code;         // empty: at least one. "dns.no-data", "dns.too-large", "dns.name" and
                            // those of Resolution but "dns.no-address"
  std::string detail;
};

// The questions of one validation.
class Resolver {
 public:
  virtual ~Resolver() = default;
  virtual Resolution resolve(const std::string& name, Deadline deadline) = 0;
  // CNAME and DNAME are followed. Never asks the static hosts: these fix addresses alone.
  virtual Records query(const std::string& name, RecordType type, Deadline deadline) = 0;
};

class NameServers {
 public:
  virtual ~NameServers() = default;
  virtual std::unique_ptr<Resolver> open() = 0;  // never null
};

// The text of one TXT record: its character-strings joined (RFC 7208 §3.3 shows the custom).
// kBadInput: RDATA that is none.
Result<std::string> txt_text(ByteView rdata);

// Addresses that the installation fixes.
using StaticHosts = std::map<std::string, std::vector<IpAddress>>;
// From "name=address" lines. kBadInput.
Result<StaticHosts> parse_hosts(const std::vector<std::string>& lines);

struct ResolverOptions {
  StaticHosts hosts;
  std::vector<std::string>
      forward;               // "address" or "address@port"; empty: own recursion from the root
  std::string trust_anchor;  // file with DS or DNSKEY records; empty: no DNSSEC
};

// kBadInput if a forwarder or the trust anchor is not one. `trust_anchor` may hold the anchor of any
// zone, as a plant's own.
Result<std::unique_ptr<NameServers>> make_name_servers(ResolverOptions options);

}  // namespace keyward::validate
