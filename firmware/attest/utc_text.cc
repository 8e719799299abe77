#include "firmware/attest/utc_text.h"

#include <time.h>

namespace keyward::attest {
namespace {

constexpr const char* kFormat = "%Y-%m-%dT%H:%M:%SZ";

}  // namespace

std::string utc_text(std::int64_t utc_ms) {
  const ::time_t seconds = utc_ms / 1000;
  ::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  ::strftime(text, sizeof text, kFormat, &parts);
  return text;
}

std::optional<std::int64_t> utc_from_text(std::string_view text) {
  ::tm parts{};
  const std::string whole(text);
  const char* rest = ::strptime(whole.c_str(), kFormat, &parts);
  if (rest == nullptr || *rest != '\0') return std::nullopt;
  const auto utc_ms = static_cast<std::int64_t>(::timegm(&parts)) * 1'000;
  // strptime takes blanks and one-digit fields, timegm the 31st of February: one text, one time.
  if (utc_text(utc_ms) != text) return std::nullopt;
  return utc_ms;
}

}  // namespace keyward::attest
