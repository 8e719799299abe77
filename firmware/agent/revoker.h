// Owns the revocation of the installed certificate (RFC 8555 §7.6), signed by the account. Must not
// know TPMs. The files are kept under other names, so that the next enrolment begins anew and nothing
// is lost. Errors: kState (nothing is installed), kRefused, kUnreachable. Threads: one.
#pragma once

#include <cstdint>
#include <optional>

#include "firmware/agent/acme_client.h"
#include "firmware/agent/agent_state.h"
#include "firmware/agent/failure.h"

namespace keyward::agent {

struct RevokeSeams {
  HttpTransport& transport;
  Clock& clock;
  std::int64_t patience_ms = 120'000;
};

// Answers the serial, hexadecimal. `reason`: RFC 5280 §5.3.1; absent: none is given. One that was
// revoked before counts as revoked.
Outcome<std::string> revoke_installed(const StateDirectory& directory,
                                      std::optional<std::int64_t> reason, const RevokeSeams& seams);

}  // namespace keyward::agent
