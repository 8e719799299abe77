// Owns the reading of the tenants of an installation (table `tenants`), which two tasks read alike.
// Must not know what a tenant is for. Threads: one, at start.
//
//   [tenants.vendor]
//   delegates = ["customer"]   accounts of these tenants may order at this tenant's newOrder
#pragma once

#include <map>

#include "firmware/config/config.h"

namespace keyward::config {

struct Tenants {
  // Whom each delegates its newOrder to (D-T4).
  std::map<std::string, std::vector<std::string>, std::less<>> delegates;
  std::string problem;  // empty, or what is wrong: then none is to be served
};

// `root`: a task's own configuration. A name is a part of URLs: a-z, 0-9 and "-", 32 octets at most.
Tenants read_tenants(Section& root);

}  // namespace keyward::config
