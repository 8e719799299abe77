// Owns what can be said about an installed certificate. Must not know ACME or a TPM.
// Errors: kUnavailable (nothing is installed), kCorrupt (the file is not a certificate chain).
#pragma once

#include <cstdint>
#include <string>

#include "firmware/agent/agent_state.h"
#include "hal/base/result.h"

namespace keyward::agent {

struct Installed {
  std::string serial_hex;
  std::string key_text;            // "P-256", "P-384", "RSA 2048"
  std::int64_t not_before_ms = 0;  // UTC
  std::int64_t not_after_ms = 0;
  std::int64_t renew_after_ms = 0;  // two thirds of the lifetime
  std::size_t chain_certificates = 0;
};
Result<Installed> read_installed(const StateDirectory& directory);

// RFC 3339, UTC, seconds.
std::string utc_text(std::int64_t utc_ms);

}  // namespace keyward::agent
