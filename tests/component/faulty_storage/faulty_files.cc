#include "faulty_files.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <mutex>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace keyward::test {
namespace {

struct State {
  std::mutex mutex;
  std::string folder;  // empty: not armed
  FaultKind kind = FaultKind::kInputOutput;
  std::uint64_t nth = 0, calls = 0;
  bool happened = false;
  std::string where;
};
State& state() {
  static State* const kept = new State;  // outlives everything that still writes at the end
  return *kept;
}

struct Verdict {
  int error = 0;      // 0: the call is made
  bool half = false;  // a write: half of it, and no error
};

// SQLite's shared memory is a file by name alone.
bool is_ours(std::string_view path) {
  const auto& folder = state().folder;
  return !folder.empty() && path.starts_with(folder + "/") && !path.ends_with("-shm");
}

Verdict judge(const char* call, std::string_view path, bool writes) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (!is_ours(path)) return {};
  ++s.calls;
  const bool first = s.nth != 0 && s.calls == s.nth;
  if (first) {
    s.happened = true;
    s.where = std::string(call) + " " + std::string(path.substr(s.folder.size()));
  }
  const bool later = s.happened && !first;
  switch (s.kind) {
    case FaultKind::kInputOutput:
      return {first ? EIO : 0};
    case FaultKind::kNoSpace:
      return {first ? ENOSPC : 0};
    case FaultKind::kShortWrite:
      if (first) return writes ? Verdict{0, true} : Verdict{ENOSPC};
      return {later && writes ? ENOSPC : 0};
    case FaultKind::kDiskGone:
      return {first || later ? EIO : 0};
  }
  return {};
}

std::string path_of(int fd) {
  {
    const std::lock_guard lock(state().mutex);
    if (state().folder.empty()) return {};
  }
  char link[64], name[4'096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const auto size = ::readlink(link, name, sizeof name);
  return size <= 0 ? std::string() : std::string(name, static_cast<std::size_t>(size));
}

int failed(int error) {
  errno = error;
  return -1;
}

int by_descriptor(const char* call, long number, int fd, off_t argument) {
  if (const auto verdict = judge(call, path_of(fd), false); verdict.error != 0)
    return failed(verdict.error);
  return static_cast<int>(::syscall(number, fd, argument));
}

ssize_t positioned_write(int fd, const void* data, std::size_t size, off_t offset) {
  const auto verdict = judge("pwrite", path_of(fd), true);
  if (verdict.error != 0) return failed(verdict.error);
  return ::syscall(SYS_pwrite64, fd, data, verdict.half ? size / 2 : size, offset);
}

int open_call(int at, const char* path, int flags, mode_t mode) {
  std::string whole(path);
  if (!whole.starts_with("/") && at != AT_FDCWD) whole = path_of(at) + "/" + whole;
  const bool changes = (flags & (O_CREAT | O_TRUNC)) != 0;
  if (changes) {
    if (const auto verdict = judge("open", whole, false); verdict.error != 0)
      return failed(verdict.error);
  }
  return static_cast<int>(::syscall(SYS_openat, at, path, flags, mode));
}

mode_t mode_in(int flags, va_list arguments) {
  return static_cast<mode_t>((flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, int) : 0);
}

}  // namespace

std::string_view name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::kInputOutput:
      return "EIO";
    case FaultKind::kNoSpace:
      return "ENOSPC";
    case FaultKind::kShortWrite:
      return "short write";
    case FaultKind::kDiskGone:
      return "EIO for ever";
  }
  return "";
}

void FaultyFiles::arm(const std::string& folder, FaultKind kind, std::uint64_t nth) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.folder = folder;
  s.kind = kind;
  s.nth = nth;
  s.calls = 0;
  s.happened = false;
  s.where.clear();
}
void FaultyFiles::disarm() {
  const std::lock_guard lock(state().mutex);
  state().folder.clear();
}
std::uint64_t FaultyFiles::calls() {
  const std::lock_guard lock(state().mutex);
  return state().calls;
}
bool FaultyFiles::happened() {
  const std::lock_guard lock(state().mutex);
  return state().happened;
}
std::string FaultyFiles::where() {
  const std::lock_guard lock(state().mutex);
  return state().where;
}

}  // namespace keyward::test

// The C library's own names, for this program and the shared libraries that it loads.
// NOLINTBEGIN(readability-identifier-naming)
extern "C" {

using namespace keyward::test;

int fsync(int fd) { return by_descriptor("fsync", SYS_fsync, fd, 0); }
int fdatasync(int fd) { return by_descriptor("fdatasync", SYS_fdatasync, fd, 0); }
int ftruncate(int fd, off_t size) noexcept {
  return by_descriptor("ftruncate", SYS_ftruncate, fd, size);
}
int ftruncate64(int fd, off64_t size) noexcept {
  return by_descriptor("ftruncate", SYS_ftruncate, fd, size);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return positioned_write(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  return positioned_write(fd, data, size, offset);
}
ssize_t write(int fd, const void* data, size_t size) {
  const auto verdict = judge("write", path_of(fd), true);
  if (verdict.error != 0) return failed(verdict.error);
  return ::syscall(SYS_write, fd, data, verdict.half ? size / 2 : size);
}
int rename(const char* from, const char* to) noexcept {
  if (const auto verdict = judge("rename", to, false); verdict.error != 0)
    return failed(verdict.error);
  return static_cast<int>(::syscall(SYS_rename, from, to));
}
int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = mode_in(flags, arguments);
  va_end(arguments);
  return open_call(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = mode_in(flags, arguments);
  va_end(arguments);
  return open_call(AT_FDCWD, path, flags, mode);
}
int openat(int at, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = mode_in(flags, arguments);
  va_end(arguments);
  return open_call(at, path, flags, mode);
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
