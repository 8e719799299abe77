#include "firmware/issue/tenants.h"

#include <algorithm>

namespace keyward::issue {
namespace {

constexpr std::string_view kRoot = "/acme", kTenantRoot = "/acme/t/";

// What follows the base URL, if that begins the url.
std::optional<std::string_view> below(std::string_view url, std::string_view base_url) {
  if (!url.starts_with(base_url)) return std::nullopt;
  return url.substr(base_url.size());
}

}  // namespace

std::optional<SignedPlace> place_in(std::string_view url, std::string_view base_url,
                                    const Tenants& tenants) {
  const auto rest = below(url, base_url);
  if (!rest) return std::nullopt;
  if (rest->starts_with(kTenantRoot)) {
    const auto name = rest->substr(kTenantRoot.size());
    const auto end = name.find('/');
    if (end == std::string_view::npos) return std::nullopt;
    if (!tenants.contains(name.substr(0, end))) return std::nullopt;
    return SignedPlace{name.substr(0, end), name.substr(end)};
  }
  if (!rest->starts_with(kRoot)) return std::nullopt;
  const auto path = rest->substr(kRoot.size());
  if (!path.starts_with('/')) return std::nullopt;
  return SignedPlace{"", path};
}

std::string_view tenant_of_account(std::string_view kid, std::string_view base_url) {
  const auto rest = below(kid, base_url);
  if (!rest || !rest->starts_with(kTenantRoot)) return "";
  const auto name = rest->substr(kTenantRoot.size());
  return name.substr(0, name.find('/'));
}

Verdict<void> check_delegated(std::string_view tenant, std::string_view kid,
                              std::string_view base_url, const Tenants& tenants) {
  const auto own = tenant_of_account(kid, base_url);
  if (own == tenant) return {};
  const auto at = tenants.find(tenant);
  // The appliance's own accounts are nobody's tenant: nothing can be delegated to them.
  const bool delegated =
      at != tenants.end() && !own.empty() && std::ranges::find(at->second, own) != at->second.end();
  if (delegated) return {};
  return refuse("tenant-not-delegated", "the account's tenant may not order at this one");
}

}  // namespace keyward::issue
