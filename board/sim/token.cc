// Owns the simulator's signing token: any PKCS#11 module, SoftHSMv2 by default. Must not know
// tasks.
#include "board/compose.h"
#include "hal/pkcs11/pkcs11_token.h"

namespace keyward::board {

namespace {

hal::Pkcs11Config config_of(const TokenSpec& spec) {
  hal::Pkcs11Config config;
  config.module_path = spec.module_path;
  config.token_label = spec.token_label;
  config.environment = spec.environment;
  config.quirks.max_sessions = spec.sessions_max;
  config.quirks.stagger_open_ms = spec.session_open_stagger_ms;
  config.quirks.needs_finalize_to_recover = spec.recover_by_finalize;
  config.quirks.in_process = spec.in_process;
  config.quirks.health_interval_ms = spec.health_interval_ms;
  config.refused_pins_path = spec.refused_pins_path;
  return config;
}

}  // namespace

Result<std::unique_ptr<hal::SigningToken>> make_signing_token(const TokenSpec& spec) {
  return hal::open_pkcs11_token(config_of(spec));
}

Status initialize_signing_token(const TokenSpec& spec, const SecretBytes& so_pin,
                                const SecretBytes& user_pin) {
  return hal::initialize_token(config_of(spec), so_pin, user_pin);
}

}  // namespace keyward::board
