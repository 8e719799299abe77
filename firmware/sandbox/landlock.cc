#include "firmware/sandbox/landlock.h"

#include <cstdint>

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hal/base/unique_fd.h"

namespace keyward::sandbox {
namespace {

// What the headers of Debian 12 do not have yet (landlock(7): ABI 3, 4, 5 and 6).
constexpr std::uint64_t kTruncate = 1ULL << 14;
constexpr std::uint64_t kIoctlDevice = 1ULL << 15;
constexpr std::uint64_t kTcp = 3;    // bind, connect
constexpr std::uint64_t kScope = 3;  // abstract unix sockets, signals
struct RulesetAttributes {
  std::uint64_t files;
  std::uint64_t net;
  std::uint64_t scoped;
};

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kChange = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                  LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER |
                                  kTruncate;
constexpr std::uint64_t kOnFiles = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                   LANDLOCK_ACCESS_FS_READ_FILE | kTruncate | kIoctlDevice;

std::uint64_t handled_files(int abi) {
  std::uint64_t out = (1ULL << 13) - 1;
  if (abi >= 2) out |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) out |= kTruncate;
  if (abi >= 5) out |= kIoctlDevice;
  return out;
}

Status add(int ruleset, const std::string& path, std::uint64_t rights) {
  const UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return {};  // what is not there needs no rule
  landlock_path_beneath_attr rule{};
  rule.allowed_access = S_ISDIR(info.st_mode) ? rights : rights & kOnFiles;
  rule.parent_fd = fd.get();
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
    return fail(ErrorKind::kInternal, "cannot add a Landlock rule", errno);
  return {};
}

}  // namespace

int landlock_abi() {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

Result<int> restrict_files(const FileRules& rules) {
  const int abi = landlock_abi();
  if (abi == 0) return fail(ErrorKind::kUnavailable, "the kernel has no Landlock");
  RulesetAttributes attributes{handled_files(abi), 0, 0};
  std::size_t size = sizeof attributes.files;
  if (abi >= 4) {
    attributes.net = rules.tcp ? 0 : kTcp;
    size = 2 * sizeof attributes.files;
  }
  if (abi >= kScopeAbi) {
    attributes.scoped = kScope;
    size = sizeof attributes;
  }
  const UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!ruleset) return fail(ErrorKind::kInternal, "cannot make a Landlock ruleset", errno);
  const std::uint64_t all = attributes.files;
  for (const auto& path : rules.run)
    KEYWARD_CHECK(add(ruleset.get(), path, all & (kRead | LANDLOCK_ACCESS_FS_EXECUTE)));
  for (const auto& path : rules.read) KEYWARD_CHECK(add(ruleset.get(), path, all & kRead));
  for (const auto& path : rules.write)
    KEYWARD_CHECK(add(ruleset.get(), path, all & (kRead | kChange | kIoctlDevice)));
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0)
    return fail(ErrorKind::kInternal, "cannot apply the Landlock ruleset", errno);
  return abi;
}

}  // namespace keyward::sandbox
