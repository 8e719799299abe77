// Owns the strict pass over a JSON text that comes before cJSON. Never included outside
// firmware/json.
#pragma once

#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace keyward::json {

// RFC 8259 grammar, UTF-8, caps and duplicate keys. Gives the texts of all numbers in document
// order.
Result<std::vector<std::string_view>> scan(std::string_view text, int items_max);

}  // namespace keyward::json
