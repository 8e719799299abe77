// Owns the looks at TXT records: dns-01 (RFC 8555 §8.4), dns-account-01 (draft -03) and
// dns-persist-01 (draft -02). Must not know grants or tasks.
//
// Problem codes: the resolver's of type "dns"; "dns.content" (incorrectResponse); for dns-persist-01
// also "dns-persist.issuer", "dns-persist.account", "dns-persist.policy", "dns-persist.expired"
// (unauthorized). Threads: any.
#pragma once

#include "firmware/validate/look.h"
#include "firmware/validate/resolver.h"

namespace keyward::validate {

struct PersistOptions {
  std::vector<std::string> issuer_names;  // lower case, 1..10; empty: the method is not offered
  std::string account_hash_prefix;
};

// "_" base32(SHA-256(URL)[0..10]), lower case: stable when the account changes its key.
std::string account_label(const std::string& account_url);
// <prefix>sha-256/<base64url of the hash>; `domain` may be "*".
std::string hashed_account_uri(const std::string& prefix, std::string_view domain,
                               const Digest256& thumbprint, const std::string& account_url);

LookOutcome dns01_look(const LookRequest& request, Resolver& resolver, Deadline deadline);
LookOutcome dns_account01_look(const LookRequest& request, Resolver& resolver, Deadline deadline);
LookOutcome dns_persist01_look(const LookRequest& request, const PersistOptions& options,
                               Resolver& resolver, std::int64_t now_ms, Deadline deadline);

}  // namespace keyward::validate
