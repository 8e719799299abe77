// Owns the reading of the tenants of an installation. Must not know what a tenant is for.
#include "firmware/config/tenants.h"

#include <algorithm>

#include "hal/base/limits.h"

namespace keyward::config {
namespace {

bool is_tenant(std::string_view name) {
  return !name.empty() && name.size() <= limits::kTenantBytesMax &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

}  // namespace

Tenants read_tenants(Section& root) {
  Tenants out;
  auto tables = root.table("tenants");
  const auto names = tables.keys();
  if (names.size() > limits::kTenantsMax) out.problem = "tenants: too many";
  for (const auto& name : names) {
    auto delegates = tables.table(name).strings_or_empty("delegates", limits::kTenantsMax);
    if (!is_tenant(name) && out.problem.empty())
      out.problem = "tenants." + name + ": a name has a-z, 0-9 and -, at most 32";
    out.delegates[name] = std::move(delegates);
  }
  // A name that is written wrongly would silently delegate to nobody.
  for (const auto& [name, delegates] : out.delegates) {
    for (const auto& other : delegates) {
      const bool good = other != name && out.delegates.contains(other);
      if (!good && out.problem.empty())
        out.problem = "tenants." + name + ": delegates names no other tenant: " + other;
    }
  }
  return out;
}

}  // namespace keyward::config
