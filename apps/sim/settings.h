// Owns what `keyward-sim up` remembers (sim.toml) and the installation file made from it. Must not
// know processes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/sim/places.h"

namespace keyward::simulator {

struct Settings {
  int port = 0;         // of the ACME server on 127.0.0.1; 0: not chosen yet
  int http_port = 0;    // where http-01 looks; 0: not chosen yet
  int public_port = 0;  // of lists and OCSP over plain HTTP; 0: none (simulators of before)
  std::vector<std::string> hosts;  // NAME=ADDRESS, static names for validation
  std::vector<std::string>
      permitted;       // DNS trees that the issuing CA may vouch for; fixed by the ceremony
  std::string module;  // PKCS#11 module of the signer; empty: SoftHSMv2 on its token
  std::vector<std::string> module_environment;
  std::string test_ca;  // folder whose keys were adopted in place of a ceremony; empty: none
  std::vector<std::string>
      additions;  // SECTION.KEY=VALUE, VALUE as TOML: further installation lines
};

// The form of an addition alone; whether the task knows the key is the task's word. kBadInput.
Status check_addition(const std::string& line);

inline constexpr const char* kSoftHsm = "/usr/lib/softhsm/libsofthsm2.so";
inline constexpr const char* kApplianceName = "ca.sim.keyward.example";
inline constexpr const char* kTokenLabel = "keyward-issuing";

// The installation brings its own TLS certificate, which the simulator's root need not vouch for.
bool own_tls(const Settings& settings);

// Absent file: the defaults. kBadInput with the problems on standard error.
Result<Settings> load_settings(const Places& places);
Status save_settings(const Places& places, const Settings& settings);

std::string base_url(const Settings& settings);
// Where lists, OCSP and issuer certificates are to be had without TLS; empty: nowhere.
std::string public_url(const Settings& settings);
// keyward.toml for the supervisor. `separate_uids` only matters to root.
Status write_installation(const Places& places, const Settings& settings, bool separate_uids);
// The plan of the first ceremony.
Status write_plan(const Places& places, const Settings& settings);

// Can 127.0.0.1:port be bound now? Port 0: any; returns the port.
std::optional<int> bindable_port(int port);

}  // namespace keyward::simulator
