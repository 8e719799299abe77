// Owns up to where lines count as received, on disk. Must not know the network.
#pragma once

#include "firmware/syslog/spool_record.h"

namespace keyward::syslog {

// {0, 0}: there is none, or what is there is no position: everything is sent (again).
Place load_position(const std::string& path);
Status save_position(const std::string& path, const Place& place);

}  // namespace keyward::syslog
