#include "apps/acme/account_settings.h"

#include <algorithm>

namespace keyward::acme {
namespace {

constexpr std::int64_t kPerHourMax = 100'000'000;
constexpr std::int64_t kCoolingHoursMax = 30LL * 24;
constexpr std::size_t kMethodsMax = 3;

void read_rates(config::Section section, RatePolicy& out) {
  for (const auto& row : kRateRows) {
    auto& per_hour = out.per_hour[static_cast<std::size_t>(row.rate)];
    per_hour = section.integer_or(row.key, 0, kPerHourMax, per_hour);
  }
  out.help_url = section.string_or("help_url", "");
  if (!section.boolean_or("enabled", true)) out.per_hour.fill(0);
}

}  // namespace

void read_account_settings(config::Section& root, ServiceConfig& out) {
  out.cors = root.boolean_or("cors", out.cors);
  out.terms_change = root.string_or("terms_change", out.terms_change);
  out.recovery = root.boolean_or("recovery", out.recovery);
  out.recovery_cooling_ms = root.integer_or("recovery_cooling_h", 0, kCoolingHoursMax,
                                            out.recovery_cooling_ms / 3'600'000) *
                            3'600'000;
  if (root.has("recovery_methods"))
    out.recovery_methods = root.strings_or_empty("recovery_methods", kMethodsMax);
  read_rates(root.table("rate_limits"), out.rates);
}

const char* fault_of_account_settings(const ServiceConfig& config) {
  if (config.terms_change != "ask" && config.terms_change != "continue")
    return "acme.terms_change must be \"ask\" or \"continue\"";
  const auto known = [](const std::string& method) {
    return method == "contact" || method == "binding" || method == "certificate";
  };
  const auto& methods = config.recovery_methods;
  if (!std::all_of(methods.begin(), methods.end(), known))
    return "acme.recovery_methods may hold \"contact\", \"binding\" and \"certificate\"";
  if (config.recovery && methods.empty()) return "acme.recovery needs acme.recovery_methods";
  return nullptr;
}

}  // namespace keyward::acme
