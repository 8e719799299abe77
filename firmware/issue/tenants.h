// Owns what a URL that a client signed says about tenants (D-T4): whose part of the server it is, and
// whether one tenant's account may order at another's newOrder. Must not know accounts: a kid's
// tenant is what its owner signed. Threads: functions over values that stay.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/issue/verdict.h"

namespace keyward::issue {

// By name: to whose accounts it delegates its newOrder.
using Tenants = std::map<std::string, std::vector<std::string>, std::less<>>;

struct SignedPlace {
  std::string_view tenant;  // empty: the appliance's own
  std::string_view path;    // "/new-order": what follows "/acme" or "/acme/t/<tenant>"
};
// Empty: not below the base URL, or of a tenant that there is not.
std::optional<SignedPlace> place_in(std::string_view url, std::string_view base_url,
                                    const Tenants& tenants);
// The tenant's name in an account's URL; "" for the appliance's own, and for another server's.
std::string_view tenant_of_account(std::string_view kid, std::string_view base_url);

// "tenant-not-delegated": the account of `kid` may not order at `tenant`.
Verdict<void> check_delegated(std::string_view tenant, std::string_view kid,
                              std::string_view base_url, const Tenants& tenants);

}  // namespace keyward::issue
