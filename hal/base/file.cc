#include "hal/base/file.h"

#include <filesystem>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace keyward {
namespace {

Status write_all(int fd, ByteView content) {
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t wrote = ::write(fd, content.data() + done, content.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return fail(ErrorKind::kUnavailable, "cannot write a file", errno);
    done += static_cast<std::size_t>(wrote);
  }
  return {};
}

}  // namespace

Result<Bytes> read_file(const std::string& path, std::size_t bytes_max) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(ErrorKind::kUnavailable, "cannot open a file", errno);
  Bytes out;
  std::uint8_t chunk[8192];
  while (true) {
    const ssize_t got = ::read(fd.get(), chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorKind::kUnavailable, "cannot read a file", errno);
    if (got == 0) return out;
    if (out.size() + static_cast<std::size_t>(got) > bytes_max) {
      return fail(ErrorKind::kExhausted, "a file is larger than its limit");
    }
    append(out, {chunk, static_cast<std::size_t>(got)});
  }
}

Result<std::string> read_text_file(const std::string& path, std::size_t bytes_max) {
  KEYWARD_TRY(bytes, read_file(path, bytes_max));
  return std::string(text_of(bytes));
}

bool file_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Status sync_directory(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0)
    return fail(ErrorKind::kUnavailable, "cannot sync a directory", errno);
  return {};
}

Status replace_file(const std::string& path, ByteView content, unsigned mode) {
  const std::string temporary = path + ".new";
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd) return fail(ErrorKind::kUnavailable, "cannot create a file", errno);
  KEYWARD_CHECK(write_all(fd.get(), content));
  if (::fchmod(fd.get(), mode) != 0 || ::fsync(fd.get()) != 0) {
    return fail(ErrorKind::kUnavailable, "cannot sync a file", errno);
  }
  fd.reset();
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return fail(ErrorKind::kUnavailable, "cannot replace a file", errno);
  }
  const auto slash = path.rfind('/');
  return sync_directory(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

Status make_directories(const std::string& path, unsigned mode) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return {};
  std::filesystem::create_directories(path, error);
  if (error) return fail(ErrorKind::kUnavailable, "cannot create a directory", error.value());
  if (::chmod(path.c_str(), mode) != 0) {
    return fail(ErrorKind::kUnavailable, "cannot set a directory's mode", errno);
  }
  return {};
}

}  // namespace keyward
