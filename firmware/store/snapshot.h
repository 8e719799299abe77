// Owns a consistent copy of the database, beside a running store task. Must not know what a backup is.
// Errors: as sqlite.h. Threads: one.
#pragma once

#include <string>

#include "hal/base/result.h"

namespace keyward::store {

// `target` must not be there. One read transaction: the copy is the database of one moment.
Status snapshot_database(const std::string& path, const std::string& target);
// PRAGMA integrity_check. kCorrupt: it is damaged.
Status check_database(const std::string& path);

}  // namespace keyward::store
