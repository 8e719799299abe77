// Owns the destruction of what a token holds: its keys one by one, and the whole token by its security
// officer. Must not know why, nor any SigningToken: nothing else of this process may use the module.
//
// A key that was made here says of itself that it is not to be destroyed (CKA_DESTROYABLE false, so that a
// stolen session cannot): modules that heed it (PKCS#11 v2.40 §4.4) leave C_InitToken as the only way.
// Threads: one. Source: PKCS#11 v2.40 §5.5, §5.7.
#pragma once

#include <string>
#include <vector>

#include "hal/pkcs11/pkcs11_token.h"

namespace keyward::hal {

struct DestroyedKey {
  std::string label;
  int found = 0;      // objects with the label, public halves too
  int destroyed = 0;  // C_DestroyObject said so
  bool gone = false;  // looked for afterwards, and not there
  std::string why;    // not gone: what the module said
};

// Logs in once with `pin` and destroys every object that carries one of `labels`, then looks again.
// kUnavailable: no module or token; kRefused: the token did not take the PIN (it is not tried again).
Result<std::vector<DestroyedKey>> destroy_keys(const Pkcs11Config& config, const SecretBytes& pin,
                                               const std::vector<std::string>& labels);

// C_InitToken over the token that carries the label: every object in it is gone, and so is the user's PIN.
// Both are looked at afterwards: kCorrupt if the token still says otherwise. kRefused: not the security
// officer's PIN.
Status erase_token(const Pkcs11Config& config, const SecretBytes& so_pin);

}  // namespace keyward::hal
