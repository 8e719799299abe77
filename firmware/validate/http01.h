// Owns the http-01 look: fetch the key authorization from the host and compare (RFC 8555 §8.3).
// Must not know tokens' minting, grants or tasks.
//
// Every hop is resolved here, checked against the egress policy, and pinned: the HTTP library never
// resolves a name, and asks the policy again for the very address it connects to. A certificate met
// on an https redirect is not checked: the client may be fetching its first (RFC 8555 §8.3).
// Threads: any.
#pragma once

#include "firmware/validate/look.h"
#include "firmware/validate/resolver.h"
#include "hal/base/limits.h"

namespace keyward::validate {

struct Http01Options {
  std::uint16_t port = 80;
  std::int64_t total_ms = limits::kHttp01TotalMs;
  EgressPolicy egress;
};

// Trailing white space is ignored (§8.3); the rest is compared in constant time.
bool body_matches(std::string_view body, const std::string& key_authorization);

// Once per process, before threads.
void http01_global_init();
LookOutcome http01_look(const LookRequest& request, const Http01Options& options,
                        Resolver& resolver);

}  // namespace keyward::validate
