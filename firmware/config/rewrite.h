// Owns a TOML text with other strings in it, for what is shown to others. Comments are not kept. Must not
// know why. Threads: functions.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace keyward::config {

// `change` gets each string with the key that it, or its array, stands under. kBadInput: no TOML.
Result<std::string> rewrite_strings(
    std::string_view toml,
    const std::function<std::string(std::string_view key, const std::string& value)>& change);

}  // namespace keyward::config
