// Owns one attempt to reach the token: module, slot, session, login, keys, self-test. Must not know
// queues, threads or when to try again. Threads: one at a time, with no other call in the module
// when the step finalizes it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hal/pkcs11/keys.h"
#include "hal/pkcs11/module.h"
#include "hal/pkcs11/pkcs11_token.h"
#include "hal/pkcs11/session.h"
#include "hal/pkcs11/slots.h"

namespace keyward::hal::pkcs11 {

// The rungs of the ladder, gentlest first.
enum class Step : std::uint8_t {
  kReopen = 1,        // a new session; login only if the token forgot ours
  kCloseAll = 2,      // C_CloseAllSessions first (which logs out)
  kReinitialize = 3,  // C_Finalize + C_Initialize first
};

struct Attempt {
  TokenState state = TokenState::kAway;  // kAway, kLocked or kReady
  bool pin_refused = false;              // the token did not let us in with the PIN
  bool pin_wrong = false;                // ... because it is wrong: never send it again
  std::string detail;
  CK_SLOT_ID slot = 0;
  Session session;             // if not kAway
  std::vector<FoundKey> keys;  // if kReady: the wanted labels that were found
  std::vector<MechanismFact> mechanisms;
};

// `module` is loaded if it is not yet. `pin` null: stops at kLocked.
Attempt connect(std::shared_ptr<Module>& module, const Pkcs11Config& config, Step step,
                const SecretBytes* pin, const std::vector<std::string>& wanted_labels);

}  // namespace keyward::hal::pkcs11
