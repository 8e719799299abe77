// Owns what `keyward-sim status`, `logs`, `env` show. Must not change anything.
#pragma once

#include <string>

#include "apps/sim/places.h"

namespace keyward::simulator {

// 0 operational, 1 running but not operational, 3 stopped.
int show_status(const Places& places, bool as_json);
// Lines of one task or, with "", of all; `follow` goes on until it is ended.
int show_logs(const Places& places, const std::string& task, bool follow);
// Shell assignments.
int show_environment(const Places& places);

}  // namespace keyward::simulator
