// Owns the simulator's signing token: any PKCS#11 module, SoftHSMv2 by default. Must not know
// tasks.
#include "board/compose.h"
#include "board/destroy.h"
#include "hal/pkcs11/destroy.h"
#include "hal/pkcs11/pkcs11_token.h"
#include "hal/replica/replicated_token.h"

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
  if (spec.replicas.empty()) return hal::open_pkcs11_token(config_of(spec));
  std::vector<TokenSpec::Replica> all = spec.replicas;
  all.insert(all.begin(), {spec.module_path, spec.token_label});
  std::vector<std::unique_ptr<hal::SigningToken>> tokens;
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto config = config_of(spec);
    config.module_path = all[i].module_path;
    config.token_label = all[i].token_label;
    // The one in reserve is known to be well before it is needed.
    if (config.quirks.health_interval_ms == 0)
      config.quirks.health_interval_ms = limits::kTokenReplicaHealthMs;
    // Each has its own memory: the same PIN may be wrong in one of them alone.
    if (i > 0 && !config.refused_pins_path.empty())
      config.refused_pins_path += "-" + std::to_string(i + 1);
    KEYWARD_TRY(token, hal::open_pkcs11_token(std::move(config)));
    tokens.push_back(std::move(token));
  }
  return hal::make_replicated_token(std::move(tokens));
}

Status initialize_signing_token(const TokenSpec& spec, const SecretBytes& so_pin,
                                const SecretBytes& user_pin) {
  return hal::initialize_token(config_of(spec), so_pin, user_pin);
}

Result<std::vector<DestroyedKey>> destroy_token_keys(const TokenSpec& spec, const SecretBytes& pin,
                                                     const std::vector<std::string>& labels) {
  KEYWARD_TRY(keys, hal::destroy_keys(config_of(spec), pin, labels));
  std::vector<DestroyedKey> out;
  for (auto& key : keys)
    out.push_back({std::move(key.label), key.found, key.destroyed, key.gone, std::move(key.why)});
  return out;
}

Status erase_token(const TokenSpec& spec, const SecretBytes& so_pin) {
  return hal::erase_token(config_of(spec), so_pin);
}

}  // namespace keyward::board
