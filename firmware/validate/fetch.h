// Owns the fetching of a small document from an https URL for another task (RFC 9447 §5.3 x5u).
// Must not know what the document means. Refused by default: only from hosts that the installation
// lists, only where the egress policy lets us go, only over TLS that verifies.
//
// Problem codes, all of type "connection" unless named: "fetch-not-configured", "fetch-url",
// "fetch-host" (unauthorized), the resolver's (dns), "egress.refused", "fetch-timeout",
// "fetch-connect", "fetch-tls" (tls), "fetch-failed", "fetch-redirects", "fetch-status",
// "fetch-too-large", "fetch-empty" (incorrectResponse). Threads: any.
#pragma once

#include "firmware/validate/look.h"
#include "firmware/validate/resolver.h"
#include "firmware/wire/messages/url_fetch.h"
#include "hal/base/limits.h"

namespace keyward::validate {

struct FetchOptions {
  std::vector<std::string> hosts;  // lower case; empty: nothing is fetched
  std::string ca_file;             // empty: the system's roots
  bool allow_http = false;
  std::int64_t total_ms = limits::kUrlFetchMs;
  EgressPolicy egress;
};

wire::UrlFetchReply fetch_url(const std::string& url, const FetchOptions& options,
                              Resolver& resolver);

}  // namespace keyward::validate
