// Owns the system calls around operators' files. Must not know what stands in them.
#include "firmware/operate/operator_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/log/log.h"

namespace keyward::operate {
namespace {

tl::unexpected<Error> unavailable(const char* what) {
  return fail(ErrorKind::kUnavailable, what, errno);
}

Result<Bytes> read_all(int fd, std::size_t bytes_max) {
  Bytes out;
  std::uint8_t chunk[8192];
  while (true) {
    const ssize_t got = ::read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unavailable("cannot read a file");
    if (got == 0) return out;
    append(out, {chunk, static_cast<std::size_t>(got)});
    if (out.size() > bytes_max)
      return fail(ErrorKind::kExhausted, "a file is larger than its limit");
  }
}

Status write_all(int fd, ByteView content) {
  while (!content.empty()) {
    const ssize_t wrote = ::write(fd, content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return unavailable("cannot write a file");
    content = content.subspan(static_cast<std::size_t>(wrote));
  }
  return {};
}

// Owner alone, and one name alone: what another could change is not the operator's word.
Status check_private(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return unavailable("cannot look at a file");
  if (!S_ISREG(info.st_mode)) return fail(ErrorKind::kRefused, "not a plain file");
  if ((info.st_mode & 077) != 0)
    return fail(ErrorKind::kRefused, "others than its owner may reach the file (mode 0600 is due)");
  if (info.st_uid != ::geteuid() && info.st_uid != 0 && ::geteuid() != 0)
    return fail(ErrorKind::kRefused, "the file belongs to another user");
  return {};
}

// Owner and group of the directory, so that the task can read what root wrote.
Status give_to_owner_of(int directory_fd, int fd) {
  struct stat info {};
  if (::fstat(directory_fd, &info) != 0) return unavailable("cannot look at a directory");
  struct stat own {};
  if (::fstat(fd, &own) != 0) return unavailable("cannot look at a file");
  if (own.st_uid == info.st_uid && own.st_gid == info.st_gid) return {};
  if (::fchown(fd, info.st_uid, info.st_gid) != 0)
    return unavailable("cannot give a file to the task's user (run as root, or as that user)");
  return {};
}

Result<UniqueFd> open_directory(int at, const std::string& path) {
  UniqueFd fd(::openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return unavailable("cannot open a directory");
  return fd;
}

Result<UniqueFd> make_directory_below(int parent_fd, const std::string& name) {
  const bool made = ::mkdirat(parent_fd, name.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return unavailable("cannot make a directory");
  KEYWARD_TRY(fd, open_directory(parent_fd, name));
  if (made) {
    KEYWARD_CHECK(give_to_owner_of(parent_fd, fd.get()));
    if (::fsync(parent_fd) != 0) return unavailable("cannot sync a directory");
  }
  return std::move(fd);
}

}  // namespace

Result<OperatorDirectory> OperatorDirectory::open(const std::string& state_dir,
                                                  const std::string& folder) {
  KEYWARD_TRY(parent, open_directory(AT_FDCWD, state_dir));
  KEYWARD_TRY(fd, make_directory_below(parent.get(), folder));
  if (::flock(fd.get(), LOCK_EX) != 0) return unavailable("cannot lock a directory");
  return OperatorDirectory(std::move(fd));
}

Result<Bytes> OperatorDirectory::read(const std::string& name, std::size_t bytes_max) const {
  const UniqueFd fd(
      ::openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd && errno == ENOENT) return Bytes{};
  if (!fd) return unavailable("cannot open a file");
  KEYWARD_CHECK(check_private(fd.get()));
  return read_all(fd.get(), bytes_max);
}

Status OperatorDirectory::replace(const std::string& name, ByteView content) {
  const std::string temporary = name + ".new";
  if (::unlinkat(fd_.get(), temporary.c_str(), 0) != 0 && errno != ENOENT)
    return unavailable("cannot remove an unfinished file");
  const UniqueFd fd(::openat(fd_.get(), temporary.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return unavailable("cannot create a file");
  KEYWARD_CHECK(write_all(fd.get(), content));
  KEYWARD_CHECK(give_to_owner_of(fd_.get(), fd.get()));
  if (::fchmod(fd.get(), 0600) != 0 || ::fsync(fd.get()) != 0)
    return unavailable("cannot sync a file");
  if (::renameat(fd_.get(), temporary.c_str(), fd_.get(), name.c_str()) != 0)
    return unavailable("cannot replace a file");
  if (::fsync(fd_.get()) != 0) return unavailable("cannot sync a directory");
  return {};
}

FileMark mark_of(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  constexpr std::int64_t kNsPerS = 1'000'000'000;
  return {true, info.st_dev, info.st_ino, info.st_size,
          info.st_ctim.tv_sec * kNsPerS + info.st_ctim.tv_nsec};
}

Result<Bytes> read_private_file(const std::string& path, std::size_t bytes_max) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return unavailable("cannot open a file");
  KEYWARD_CHECK(check_private(fd.get()));
  return read_all(fd.get(), bytes_max);
}

void log_bad_file(const std::string& path, const Error& error, bool keeps_earlier) {
  log::error(keeps_earlier ? "an operator's file is not usable; the one before stays in force"
                           : "an operator's file is not usable; none is in force",
             error, {{"file", path}});
}

void log_read_file(const std::string& path) {
  log::info("an operator's file is in force", {{"file", path}});
}

}  // namespace keyward::operate
