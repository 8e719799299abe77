// Owns the http-01 look: fetch the key authorization from the host and compare (RFC 8555 §8.3).
// Must not know tokens' minting, grants or tasks.
//
// Every hop is resolved here, checked against the egress policy, and pinned: the HTTP library never
// resolves a name, and asks the policy again for the very address it connects to. A certificate met
// on an https redirect is not checked: the client may be fetching its first (RFC 8555 §8.3).
// Threads: any.
#pragma once

#include <optional>
#include <string>

#include "firmware/validate/resolver.h"
#include "firmware/wire/messages/common.h"
#include "hal/base/bytes.h"
#include "hal/base/limits.h"

namespace keyward::validate {

struct Http01Options {
  std::uint16_t port = 80;
  std::int64_t total_ms = limits::kHttp01TotalMs;
  EgressPolicy egress;
};

struct Http01Outcome {
  std::optional<wire::ChallengeProblem>
      problem;            // absent: the account's key authorization is there
  std::string final_url;  // what was read, for the evidence
  std::string address;
};

// token "." base64url(thumbprint): RFC 8555 §8.1.
std::string key_authorization(const std::string& token, const Digest256& thumbprint);
// Trailing white space is ignored (§8.3); the rest is compared in constant time.
bool body_matches(std::string_view body, const std::string& key_authorization);

// Once per process, before threads.
void http01_global_init();
Http01Outcome http01_look(const wire::Identifier& identifier, const std::string& token,
                          const Digest256& thumbprint, const Http01Options& options,
                          Resolver& resolver);

}  // namespace keyward::validate
