// Owns what a board composes: HAL objects from board data. Must not know tasks or firmware; only
// apps include it. Each board implements every function (chosen at link time): board/<name>/.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hal/sealed_pin.h"
#include "hal/signing_token.h"
#include "hal/tamper.h"
#include "hal/tpm.h"
#include "hal/trusted_time.h"
#include "hal/watchdog.h"

namespace keyward::board {

// Board data about the PKCS#11 module and what is odd about it (board.toml, [pkcs11]).
struct TokenSpec {
  std::string module_path;
  std::string token_label;
  std::vector<std::pair<std::string, std::string>> environment;  // set before C_Initialize
  int sessions_max = 8;
  int session_open_stagger_ms = 0;
  bool recover_by_finalize = true;  // only C_Finalize + C_Initialize brings a lost token back
  bool in_process = false;  // software in this process (SoftHSM itself, never p11-kit-client):
                            // callers make the calls themselves
  std::int64_t health_interval_ms = 0;  // self-test signature after so long idle; 0: none
  struct Replica {
    std::string module_path;
    std::string token_label;
  };
  std::vector<Replica> replicas;  // more tokens that hold the same keys under the same PIN
  std::string
      refused_pins_path;  // keeps digests of refused PINs over restarts; empty: in memory alone
};

// Target keyward_board_<name>_token. With replicas: one signs, the others are in reserve
// (hal/replica).
Result<std::unique_ptr<hal::SigningToken>> make_signing_token(const TokenSpec& spec);
// For ceremonies: makes the token `spec.token_label` in a free slot and sets its PINs. kRefused: it
// exists. Not beside a live SigningToken of the same module.
Status initialize_signing_token(const TokenSpec& spec, const SecretBytes& so_pin,
                                const SecretBytes& user_pin);

struct SealedPinSpec {
  std::string blob_path;
  hal::PcrSelection pcrs;  // board data (pcr-policy.toml); never PCR 0
};

// Target keyward_board_<name>_tpm. The Tpm connects on its first command, so that a task starts
// with the TPM away; a swtpm serves one connection, so a task makes one Tpm. The Tpm must outlive
// the SealedPin.
Result<std::unique_ptr<hal::Tpm>> make_tpm(const std::string& tcti);
Result<std::unique_ptr<hal::SealedPin>> make_sealed_pin(hal::Tpm& tpm, const SealedPinSpec& spec);

// Target keyward_board_<name>_watchdog. Empty path: none (the simulator without a watchdog file).
Result<std::unique_ptr<hal::Watchdog>> make_watchdog(const std::string& path);

// Target keyward_board_<name>_tamper. Empty path: the board has no such input. `active`: the value that
// means "opened".
Result<std::unique_ptr<hal::Tamper>> make_tamper(const std::string& path, int active);

// Target keyward_board_<name>_time: what the unit's clocks are read from.
std::unique_ptr<hal::TimeSources> make_time_sources();

}  // namespace keyward::board
