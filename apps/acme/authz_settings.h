// Owns the keys of section [acme] about authorizations and challenges. Must not know peers.
#pragma once

#include "firmware/acme/context.h"
#include "firmware/config/config.h"

namespace keyward::acme {

void read_authz_settings(config::Section& section, ServiceConfig& out);
// nullptr: they fit together. To be asked when all was read.
const char* fault_of_authz_settings(const ServiceConfig& config);

}  // namespace keyward::acme
