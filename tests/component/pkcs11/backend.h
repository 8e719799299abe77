// Owns the three real modules of the HAL suite, each with an HSM that can go away and come back.
// What a module lacks is data here, and the suite says so where it matters.
#pragma once

#include <memory>
#include <string>

#include "hal/pkcs11/pkcs11_token.h"

namespace keyward::test {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual hal::Pkcs11Config config() const = 0;
  virtual SecretBytes pin() const = 0;
  virtual void take_away() = 0;  // without warning
  virtual void bring_back() = 0;
  // What the module cannot do.
  virtual bool has(hal::KeyAlgorithm algorithm) const = 0;
  // The module leaves each key it touched loaded in a device of three object slots, even beyond
  // C_Finalize: flushed here between keys (on a real unit the kernel's resource manager,
  // /dev/tpmrm0, cleans up). False: nothing to do.
  virtual bool flush_device() { return false; }
};

std::unique_ptr<Backend> make_softhsm_backend();
std::unique_ptr<Backend> make_in_process_backend();
std::unique_ptr<Backend> make_p11kit_backend();
std::unique_ptr<Backend> make_tpm2_backend();

}  // namespace keyward::test
