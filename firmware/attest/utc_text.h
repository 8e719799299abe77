// Owns times in UTC as text (RFC 3339, whole seconds, "Z"). Must not know what they are for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keyward::attest {

std::string utc_text(std::int64_t utc_ms);
std::optional<std::int64_t> utc_from_text(std::string_view text);

}  // namespace keyward::attest
