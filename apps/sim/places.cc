#include "apps/sim/places.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

namespace keyward::simulator {
namespace {

// sun_path holds 107 characters; the longest below the folder: /devices/<32>/tpm.ctrl.
constexpr std::size_t kDirBytesMax = 107 - sizeof("/devices//tpm.ctrl") - 32;

std::string default_directory() {
  if (::geteuid() == 0) return "/var/lib/keyward-sim";
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && state[0] == '/') return std::string(state) + "/keyward-sim";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "") + "/.local/state/keyward-sim";
}

bool is_plain(const std::string& text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+@").find(c) != std::string_view::npos;
  });
}

}  // namespace

Result<Places> places_for(const std::string& dir) {
  std::error_code error;
  auto path = std::filesystem::weakly_canonical(
                  std::filesystem::absolute(dir.empty() ? default_directory() : dir), error)
                  .string();
  if (error || path.empty())
    return fail(ErrorKind::kBadInput, "the folder's path cannot be resolved", error.value());
  if (path.size() > kDirBytesMax)
    return fail(
        ErrorKind::kBadInput,
        "the folder's path is too long for the unix sockets below it: choose a shorter --dir");
  if (!is_plain(path))
    return fail(ErrorKind::kBadInput,
                "the folder's path may hold letters, digits and /._-+@ alone");
  return Places{path};
}

bool reachable_by_others(const std::string& path) {
  for (auto at = std::filesystem::path(path); !at.empty(); at = at.parent_path()) {
    struct stat info {};
    if (::stat(at.c_str(), &info) == 0 && (info.st_mode & S_IXOTH) == 0) return false;
    if (at == at.root_path()) return true;
  }
  return false;
}

std::string own_directory() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

}  // namespace keyward::simulator
