#include "disk.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace keyward::simulation {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kSectorBytes = 512;  // what a disk writes whole or not at all

std::vector<unsigned char> content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  std::vector<unsigned char> out(in ? static_cast<std::size_t>(in.tellg()) : 0);
  in.seekg(0);
  in.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
  return out;
}

void put_content(const std::string& path, const std::vector<unsigned char>& content) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(content.data()),
            static_cast<std::streamsize>(content.size()));
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

ino_t inode_of(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}
ino_t inode_at(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}
std::uint64_t size_of(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}
std::vector<unsigned char> octets_at(int fd, std::uint64_t offset, std::uint64_t size) {
  std::vector<unsigned char> out(size);
  const auto got = ::syscall(SYS_pread64, fd, out.data(), size, offset);
  out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return out;
}

// SQLite's index of its log lives in memory: nothing of it outlives the processes.
bool is_volatile(const std::string& path) { return path.ends_with("-shm"); }

}  // namespace

std::uint64_t Random::next() {
  state_ += 0x9e3779b97f4a7c15U;
  auto mixed = state_;
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
  return mixed ^ (mixed >> 31U);
}

Disk& Disk::instance() {
  static Disk disk;
  return disk;
}

void Disk::clear() {
  folders_.clear();
  files_.clear();
  names_.clear();
  on_call = nullptr;
  leave_sync_out = nullptr;
}

void Disk::detach(const std::string& folder) {
  std::erase(folders_, folder);
  std::erase_if(files_,
                [&](const auto& file) { return file.second.path.starts_with(folder + "/"); });
  std::erase_if(names_, [&](const auto& names) { return names.first.starts_with(folder + "/"); });
}

bool Disk::is_watched(const std::string& path) const {
  return !is_volatile(path) &&
         std::any_of(folders_.begin(), folders_.end(),
                     [&](const auto& folder) { return path.starts_with(folder + "/"); });
}

void Disk::call(const std::string& path) {
  if (on_call) on_call(path);
}

void Disk::before_write(int fd, const std::string& path, std::uint64_t offset, std::uint64_t size) {
  call(path);
  if (!is_watched(path)) return;  // the task ended at this very call
  auto& file = files_[inode_of(fd)];
  file.path = path;
  Change change;
  change.offset = offset;
  change.length = size;
  change.size_before = size_of(fd);
  change.before = octets_at(fd, offset, size);
  file.changes.push_back(std::move(change));
}

void Disk::after_write(int fd) {
  const auto file = files_.find(inode_of(fd));
  if (file == files_.end() || file->second.changes.empty()) return;  // detached during the call
  auto& change = file->second.changes.back();
  change.after = octets_at(fd, change.offset, change.length);
  change.size_after = size_of(fd);
}

void Disk::before_truncate(int fd, const std::string& path, std::uint64_t size) {
  call(path);
  if (!is_watched(path)) return;  // the task ended at this very call
  const auto now = size_of(fd);
  auto& file = files_[inode_of(fd)];
  file.path = path;
  Change change;
  change.offset = std::min(now, size);
  change.size_before = now;
  change.size_after = size;
  if (now > size) change.before = octets_at(fd, size, now - size);
  file.changes.push_back(std::move(change));
}

bool Disk::before_sync(int fd, const std::string& path) {
  call(path);
  if (!is_watched(path + "/")) return true;
  if (leave_sync_out && leave_sync_out(path)) return false;
  struct stat info {};
  ::fstat(fd, &info);
  if (S_ISDIR(info.st_mode)) {
    names_.erase(path.ends_with('/') ? path : path + "/");
  } else {
    files_.erase(info.st_ino);
  }
  return true;
}

void Disk::created(const std::string& path) {
  call(path);
  if (!is_watched(path)) return;
  names_[folder_of(path)].push_back({NameKind::kCreated, {}, path, false, {}});
}

void Disk::before_rename(const std::string& from, const std::string& to) {
  call(to);
  if (!is_watched(to)) return;
  NameChange change{NameKind::kRenamed, from, to, fs::exists(to), {}};
  if (change.had) {
    change.content = content_of(to);
    files_.erase(inode_at(to));
  }
  names_[folder_of(to)].push_back(std::move(change));
  const auto file = files_.find(inode_at(from));
  if (file != files_.end()) file->second.path = to;
}

void Disk::before_unlink(const std::string& path) {
  call(path);
  if (!is_watched(path) || !fs::exists(path)) return;
  names_[folder_of(path)].push_back({NameKind::kUnlinked, {}, path, true, content_of(path)});
  files_.erase(inode_at(path));
}

bool Disk::has_unsynced(const std::string& path) const {
  const bool content = std::any_of(files_.begin(), files_.end(), [&](const auto& file) {
    return file.second.path.starts_with(path) && !file.second.changes.empty();
  });
  return content || std::any_of(names_.begin(), names_.end(), [&](const auto& names) {
           return names.first.starts_with(path) && !names.second.empty();
         });
}

// Takes all changes back, then does those again that reached the disk, some of them in part.
Disk::Octets Disk::crashed(Octets live, const std::vector<Change>& changes, Random& random) const {
  for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
    live.resize(std::max<std::size_t>(change->size_before, change->offset + change->before.size()));
    std::copy(change->before.begin(), change->before.end(),
              live.begin() + static_cast<std::ptrdiff_t>(change->offset));
    live.resize(change->size_before);
  }
  for (const auto& change : changes) {
    const auto fate = random.below(4);
    if (fate == 0) continue;   // it never came
    if (change.length == 0) {  // a change of the size alone
      live.resize(change.size_after);
      continue;
    }
    auto kept = change.after.size();
    if (fate == 1) kept = random.below(kept + 1);  // its first octets
    if (fate == 2 && random.chance(50)) {  // whole sectors, the rest of the new size is zeros
      const auto last = (change.offset + random.below(kept + 1)) / kSectorBytes * kSectorBytes;
      kept = last > change.offset ? last - change.offset : 0;
      live.resize(std::max<std::size_t>(live.size(), change.offset + change.after.size()));
    }
    live.resize(std::max<std::size_t>(live.size(), change.offset + kept));
    std::copy_n(change.after.begin(), kept,
                live.begin() + static_cast<std::ptrdiff_t>(change.offset));
  }
  return live;
}

void Disk::cut_power(const std::string& folder, const std::string& image, Random& random) {
  std::map<std::string, Octets> content;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto path = entry.path().string();
    if (!entry.is_regular_file() || is_volatile(path)) continue;
    content[path];
  }
  for (auto& [path, octets] : content) {  // in the order of names: the same for a seed
    octets = content_of(path);
    const auto file = files_.find(inode_at(path));
    if (file != files_.end()) octets = crashed(std::move(octets), file->second.changes, random);
  }
  for (const auto& [where, changes] : names_) {
    if (!where.starts_with(folder + "/")) continue;
    const auto kept = random.below(changes.size() + 1);  // names change in their order
    for (std::size_t i = changes.size(); i > kept; --i) {
      const auto& change = changes[i - 1];
      if (change.kind == NameKind::kCreated) content.erase(change.name);
      if (change.kind == NameKind::kRenamed) {
        content[change.from] = std::move(content[change.name]);
        content.erase(change.name);
      }
      if (change.had) content[change.name] = change.content;
    }
  }
  fs::create_directories(image);
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory())
      fs::create_directories(image + entry.path().string().substr(folder.size()));
  }
  for (const auto& [path, octets] : content)
    put_content(image + path.substr(folder.size()), octets);
}

void Disk::end_process(const std::string& folder, const std::string& image) {
  fs::create_directories(image);
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto path = entry.path().string();
    if (entry.is_directory()) fs::create_directories(image + path.substr(folder.size()));
    if (entry.is_regular_file() && !is_volatile(path))
      put_content(image + path.substr(folder.size()), content_of(path));
  }
}

namespace {

// The name behind a descriptor, if it is one that the disk watches; else empty.
std::string watched_path(int fd) {
  if (!Disk::instance().any_watched()) return {};
  char link[64];
  char name[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const auto size = ::readlink(link, name, sizeof name);
  if (size <= 0) return {};
  std::string path(name, static_cast<std::size_t>(size));
  if (is_volatile(path) || !Disk::instance().is_watched(path + "/")) return {};
  return path;
}

std::string watched_name(const char* path) {
  return Disk::instance().any_watched() && Disk::instance().is_watched(path) ? path : std::string();
}

int sync_call(long number, int fd) {
  const auto path = watched_path(fd);
  if (path.empty()) return static_cast<int>(::syscall(number, fd));
  Disk::instance().before_sync(fd, path);
  return 0;  // memory: nothing to wait for
}

ssize_t positioned_write(int fd, const void* data, std::size_t size, off_t offset) {
  const auto path = watched_path(fd);
  if (path.empty()) return ::syscall(SYS_pwrite64, fd, data, size, offset);
  Disk::instance().before_write(fd, path, static_cast<std::uint64_t>(offset), size);
  const auto wrote = ::syscall(SYS_pwrite64, fd, data, size, offset);
  Disk::instance().after_write(fd);
  return wrote;
}

int truncate_call(int fd, off_t size) {
  const auto path = watched_path(fd);
  if (!path.empty()) Disk::instance().before_truncate(fd, path, static_cast<std::uint64_t>(size));
  return static_cast<int>(::syscall(SYS_ftruncate, fd, size));
}

int open_call(const char* path, int flags, mode_t mode) {
  const auto name = (flags & O_CREAT) != 0 ? watched_name(path) : std::string();
  const bool fresh = !name.empty() && ::access(path, F_OK) != 0;
  const bool cuts = !name.empty() && (flags & O_TRUNC) != 0 && !fresh;
  if (cuts) {  // as a change of the size, which can be taken back
    const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0));
    if (fd >= 0) {
      (void)truncate_call(fd, 0);
      ::syscall(SYS_close, fd);
    }
  }
  const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
  if (fresh && fd >= 0) Disk::instance().created(name);
  return fd;
}

}  // namespace
}  // namespace keyward::simulation

// The C library's own names, for this program and the shared libraries that it loads.
// NOLINTBEGIN(readability-identifier-naming)
extern "C" {

using namespace keyward::simulation;

int fsync(int fd) { return sync_call(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_call(SYS_fdatasync, fd); }
int ftruncate(int fd, off_t size) noexcept { return truncate_call(fd, size); }
int ftruncate64(int fd, off64_t size) noexcept { return truncate_call(fd, size); }
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return positioned_write(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  return positioned_write(fd, data, size, offset);
}

ssize_t write(int fd, const void* data, size_t size) {
  const auto path = watched_path(fd);
  if (path.empty()) return ::syscall(SYS_write, fd, data, size);
  const bool appends = (::fcntl(fd, F_GETFL) & O_APPEND) != 0;
  struct stat info {};
  ::fstat(fd, &info);
  const auto at = appends ? info.st_size : ::lseek(fd, 0, SEEK_CUR);
  Disk::instance().before_write(fd, path, static_cast<std::uint64_t>(at), size);
  const auto wrote = ::syscall(SYS_write, fd, data, size);
  Disk::instance().after_write(fd);
  return wrote;
}

int rename(const char* from, const char* to) noexcept {
  const auto name = watched_name(to);
  if (!name.empty()) Disk::instance().before_rename(from, name);
  return static_cast<int>(::syscall(SYS_rename, from, to));
}

int unlink(const char* path) noexcept {
  const auto name = watched_name(path);
  if (!name.empty()) Disk::instance().before_unlink(name);
  return static_cast<int>(::syscall(SYS_unlink, path));
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode =
      static_cast<mode_t>((flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, int) : 0);
  va_end(arguments);
  return open_call(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode =
      static_cast<mode_t>((flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, int) : 0);
  va_end(arguments);
  return open_call(path, flags, mode);
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
