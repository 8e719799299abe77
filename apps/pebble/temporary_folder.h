// Owns the folder of one run: a kept one as given, or one that goes with the run. Must not know what
// is in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace keyward::pebble {

// path() is empty if it could not be made.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& kept) : path_(kept) {
    if (!kept.empty()) return;
    char name[] = "/tmp/keyward-pebble-XXXXXX";
    if (::mkdtemp(name) == nullptr) return;
    path_ = name;
    made_ = true;
    std::error_code ignored;
    std::filesystem::permissions(path_, std::filesystem::perms(0711), ignored);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (made_) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool made_ = false;
};

}  // namespace keyward::pebble
