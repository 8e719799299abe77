// Owns the public face of the PKCS#11 back end: a SigningToken over any module, and the making of a
// token. Must not show PKCS#11 types: what is odd about a module is data (Pkcs11Quirks).
//
// Source: PKCS#11 v2.40; DESIGN §3. How a lost token is won back: docs/hal-pkcs11.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "hal/signing_token.h"

namespace keyward::hal {

// Attributes that a module refuses to take in a key generation template. Leaving one out is only
// allowed where the module cannot express it; what the token then really holds is read back.
struct TemplateOmissions {
  bool public_usage = false;  // CKA_VERIFY and CKA_ENCRYPT of the public half
  bool decrypt = false;       // CKA_DECRYPT
  bool wrap = false;          // CKA_WRAP of the public half, CKA_UNWRAP
  bool copyable = false;      // CKA_COPYABLE
  bool modifiable = false;    // CKA_MODIFIABLE
  bool destroyable = false;   // CKA_DESTROYABLE
};

// What is odd about a module: board data, never an `if` on a vendor's name.
struct Pkcs11Quirks {
  int max_sessions = 8;  // sessions = worker threads, 1..limits::kTokenSessionsMax; with
                         // 1 the module never sees two calls at the same time
  std::int64_t stagger_open_ms =
      0;  // pause between two session opens (bursts overload some appliances)
  bool needs_finalize_to_recover =
      false;                        // skip the gentler steps: only C_Finalize + C_Initialize helps
  bool no_random = false;           // no C_GenerateRandom: the kernel's generator answers random()
  bool rsa_hash_in_module = false;  // CKM_SHA256_RSA_PKCS instead of CKM_RSA_PKCS over a DigestInfo
  // The module is software in this process (SoftHSM) and cannot stall as a device can: callers make
  // the calls themselves, which saves 25 to 70 us of CPU a signature but gives up leaving at the
  // deadline. Never for a module that talks to anything.
  bool in_process = false;
  TemplateOmissions omit;
  std::int64_t stall_ms = limits::kTokenStallMsDefault;  // a call in the module for longer is stuck
  std::int64_t reconnect_ms_max = limits::kTokenReconnectMsMax;  // cap of the back-off
  std::int64_t health_interval_ms =
      0;  // self-test signature after so long without a good one; 0: none
};

struct Pkcs11Config {
  std::string module_path;
  std::string token_label;  // exactly one token must carry it
  Pkcs11Quirks quirks;
  // Set in this process before the module is loaded (SOFTHSM2_CONF, P11_KIT_SERVER_ADDRESS, ...).
  // open_pkcs11_token() sets them in the calling thread: call it before starting other threads.
  std::vector<std::pair<std::string, std::string>> environment;
  // Salted scrypt digests of refused PINs, so that a restart does not try one again (three wrong
  // PINs lock most tokens). Empty: remembered in memory alone.
  std::string refused_pins_path;
};

// Succeeds with the module or the token absent: the token starts kAway and keeps trying in the
// background. kBadInput: the configuration contradicts itself (no path, label too long, limits).
// Threads: the module must be used by this process alone through this interface; never fork without
// exec after it. Ending the object closes the sessions and finalizes the module unless a call is
// stuck in it; a process whose token had a stuck call must leave by _exit.
Result<std::unique_ptr<SigningToken>> open_pkcs11_token(Pkcs11Config config);

// For the ceremony and the simulator: makes the token `config.token_label` in the first
// uninitialised slot and sets the user's PIN. A token that was left without a user PIN (power cut
// between the two steps) is finished instead. kRefused: the token exists, or the module refuses the
// PIN's form; kUnavailable: no module, or no free slot. Not beside a live SigningToken on the same
// module.
Status initialize_token(const Pkcs11Config& config, const SecretBytes& so_pin,
                        const SecretBytes& user_pin);

}  // namespace keyward::hal
