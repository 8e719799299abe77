// Owns the handing of evidence to another verifier and the bringing of its result: the
// challenge-response interaction of Veraison's verification API (RFC 9334 §5.2, background check).
// Must not know what evidence or result mean: nothing of either is trusted, read or logged here.
//
// A verifier is the operator's, named in the configuration; acme can choose among these alone, by
// name. Over https that verifies, where the egress policy lets us go, without redirects, to one
// host: a session's URL elsewhere is refused.
//
// Problem codes: "relay.not-configured", "relay.egress", "relay.tls", "relay.redirect",
// "relay.answer", "relay.too-large" (serverInternal); "relay.media-type", "relay.refused",
// "relay.failed" (badAttestationStatement); "relay.unavailable" (connection: may pass; all the
// others are final). Threads: any.
#pragma once

#include <map>

#include "firmware/validate/look.h"
#include "firmware/validate/resolver.h"
#include "firmware/wire/messages/verifier_relay.h"
#include "hal/base/limits.h"

namespace keyward::validate {

struct VerifierOptions {
  std::string url;                       // of the API; "/newSession" follows
  std::string ca_file;                   // empty: the system's roots
  std::vector<std::string> media_types;  // lower case; what it is given, and nothing else
  std::int64_t total_ms = limits::kVerifierRelayMs;  // one session, all of it
};

struct RelayOptions {
  std::map<std::string, VerifierOptions> verifiers;  // by name
  EgressPolicy egress;
  std::int64_t poll_ms = limits::kVerifierPollMs;
};

// kBadInput: not an https URL (http only to a loopback address, where `allow_http`), no media type,
// or one that cannot stand in a header.
Status check_verifier_options(const VerifierOptions& options, bool allow_http);

// Blocks until the result is there, at most the verifier's total_ms.
wire::VerifierRelayReply relay_evidence(const wire::VerifierRelay& request,
                                        const RelayOptions& options, Resolver& resolver);

}  // namespace keyward::validate
