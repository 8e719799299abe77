#include "firmware/supervise/state_directory.h"

#include <memory>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::supervise {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

Status give(int dir_fd, const char* name, unsigned uid, int depth, std::size_t& count);

Status give_tree(int dir_fd, unsigned uid, int depth, std::size_t& count) {
  if (depth > limits::kStateTreeDepthMax)
    return fail(ErrorKind::kExhausted, "a state directory is too deep");
  const int copy = ::fcntl(dir_fd, F_DUPFD_CLOEXEC, 4);
  const std::unique_ptr<DIR, DirCloser> dir(copy < 0 ? nullptr : ::fdopendir(copy));
  if (!dir) return fail(ErrorKind::kUnavailable, "cannot read a state directory", errno);
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    KEYWARD_CHECK(give(dir_fd, name.c_str(), uid, depth, count));
  }
  return {};
}

Status give(int dir_fd, const char* name, unsigned uid, int depth, std::size_t& count) {
  if (++count > limits::kStateTreeEntriesMax)
    return fail(ErrorKind::kExhausted, "a state directory has too many entries");
  struct stat info {};
  if (::fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
    return fail(ErrorKind::kUnavailable, "cannot look at a state file", errno);
  if (S_ISREG(info.st_mode) && info.st_nlink != 1)
    return fail(ErrorKind::kRefused, "a state file has a second name");
  if (info.st_uid != uid && ::fchownat(dir_fd, name, uid, uid, AT_SYMLINK_NOFOLLOW) != 0) {
    return fail(ErrorKind::kUnavailable, "cannot change the owner of a state file", errno);
  }
  if (!S_ISDIR(info.st_mode)) return {};
  const UniqueFd below(::openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!below) return fail(ErrorKind::kUnavailable, "cannot open a state directory", errno);
  return give_tree(below.get(), uid, depth + 1, count);
}

}  // namespace

Status prepare_state_directory(const std::string& path, bool own_uid, unsigned uid) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(ErrorKind::kUnavailable, "cannot make a state directory", errno);
  }
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail(ErrorKind::kRefused, "a state directory is not a directory", errno);
  if (::fchmod(fd.get(), 0700) != 0)
    return fail(ErrorKind::kUnavailable, "cannot set a state directory's mode", errno);
  if (!own_uid) return {};
  if (::fchown(fd.get(), uid, uid) != 0)
    return fail(ErrorKind::kUnavailable, "cannot change a state directory's owner", errno);
  std::size_t count = 0;
  return give_tree(fd.get(), uid, 0, count);
}

}  // namespace keyward::supervise
