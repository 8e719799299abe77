#include "hal/base/disk.h"

#include <cerrno>
#include <filesystem>

#include <sys/stat.h>
#include <sys/statvfs.h>

namespace keyward {

Result<DiskSpace> disk_space(const std::string& path) {
  struct statvfs disk {};
  if (::statvfs(path.c_str(), &disk) != 0)
    return fail(ErrorKind::kUnavailable, "the file system does not answer", errno);
  const auto unit = static_cast<std::int64_t>(disk.f_frsize);
  return DiskSpace{static_cast<std::int64_t>(disk.f_blocks) * unit,
                   static_cast<std::int64_t>(disk.f_bavail) * unit};
}

std::int64_t bytes_of(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0 || !S_ISREG(file.st_mode)) return 0;
  return static_cast<std::int64_t>(file.st_size);
}

Result<std::int64_t> bytes_in(const std::string& directory) {
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  std::int64_t bytes = 0;
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error))
    bytes += bytes_of(entries->path().string());
  if (error) return fail(ErrorKind::kUnavailable, "the folder cannot be read", error.value());
  return bytes;
}

}  // namespace keyward
