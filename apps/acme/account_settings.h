// Owns the keys of section [acme] about accounts, and the section [rate_limits]. Must not know peers.
#pragma once

#include "firmware/acme/context.h"
#include "firmware/config/config.h"

namespace keyward::acme {

// `root` is the whole configuration of the task: its own keys and the tables beside them.
void read_account_settings(config::Section& root, ServiceConfig& out);
// nullptr: they fit together. To be asked when all was read.
const char* fault_of_account_settings(const ServiceConfig& config);

}  // namespace keyward::acme
