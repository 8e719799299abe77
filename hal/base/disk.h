// Owns what a file system says about its room, and how much the files of a folder take. Must not
// know what is in them. Errors: kUnavailable (no such path, no access). Threads: any.
// Source: statvfs(3).
#pragma once

#include <cstdint>
#include <string>

#include "hal/base/result.h"

namespace keyward {

struct DiskSpace {
  std::int64_t size_bytes = 0;
  std::int64_t free_bytes = 0;  // that an unprivileged process may still write
};

Result<DiskSpace> disk_space(const std::string& path);
// The regular files that lie directly in the folder, by their length. A file that goes away
// meanwhile counts as none.
Result<std::int64_t> bytes_in(const std::string& directory);
// Of one file; 0 where there is none.
std::int64_t bytes_of(const std::string& path);

}  // namespace keyward
