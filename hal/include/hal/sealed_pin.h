// Owns the contract of the store that gives the HSM's PIN to the right software state alone.
// Errors: kUnavailable (TPM away), kRefused (state does not match the policy), kBadInput (never
// sealed).
#pragma once

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::hal {

class SealedPin {
 public:
  virtual ~SealedPin() = default;
  virtual Status seal(const SecretBytes& pin) = 0;
  virtual Result<SecretBytes> unseal() = 0;
};

}  // namespace keyward::hal
