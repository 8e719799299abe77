// Owns the question "does the appliance answer?": its status file and its directory over TLS. Must
// not know how it was started.
#pragma once

#include <optional>
#include <string>

#include "apps/sim/places.h"

namespace keyward::simulator {

// status.json as text; absent while there is none.
std::optional<std::string> read_status(const Places& places);
std::string state_in(const std::string& status_json);  // "operational", ...; "" if unreadable
// One line for a person: what is not ready and why; "" if all is.
std::string trouble_in(const std::string& status_json);

// GET <base>/acme/directory with the ceremony's root as the only trust anchor. "" if it answers
// 200, else why not.
std::string directory_trouble(const std::string& base_url, const std::string& ca_file);

}  // namespace keyward::simulator
