// Owns the making of a task's own directory and its owner. Must not know what tasks keep there.
#pragma once

#include <string>

#include "hal/base/result.h"

namespace keyward::supervise {

// Makes `path` (0700) if it is missing; with `own_uid` gives it and all below it to uid:gid `uid`.
// Symbolic links are not followed. kRefused: it is not a directory, or holds a file with a second
// name (a hard link could point anywhere); kExhausted: too many or too deep entries.
Status prepare_state_directory(const std::string& path, bool own_uid, unsigned uid);

}  // namespace keyward::supervise
