// Owns the reading of times that clients write (RFC 3339 §5.6). Must not know what they are for.
// Source: RFC 8555 §7.1.3. Threads: functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace keyward::issue {

// Milliseconds UTC of a date-time with its offset. Empty: anything else, a day that does not exist,
// a leap second, or a fraction of a second, which no certificate can hold (RFC 5280 §4.1.2.5).
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

}  // namespace keyward::issue
