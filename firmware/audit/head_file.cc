#include "firmware/audit/head_file.h"

#include <algorithm>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::audit {

Result<HeadFile> HeadFile::open(const std::string& path) {
  const bool fresh = !file_exists(path);
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail(ErrorKind::kUnavailable, "cannot open the file of heads", errno);
  if (fresh) KEYWARD_CHECK(sync_directory(path.substr(0, path.rfind('/'))));
  HeadFile out(std::move(fd));
  KEYWARD_CHECK(out.read_last());
  return out;
}

Status HeadFile::read_last() {
  struct ::stat facts {};
  if (::fstat(fd_.get(), &facts) != 0)
    return fail(ErrorKind::kUnavailable, "cannot read the file of heads", errno);
  size_ = static_cast<std::uint64_t>(facts.st_size);
  // A torn line and the whole one before it.
  const std::uint64_t wanted = std::min<std::uint64_t>(size_, 2 * limits::kAuditHeadLineBytesMax);
  std::string text(wanted, '\0');
  const auto got =
      ::pread(fd_.get(), text.data(), text.size(), static_cast<::off_t>(size_ - wanted));
  if (got != static_cast<::ssize_t>(wanted))
    return fail(ErrorKind::kUnavailable, "cannot read the file of heads", errno);
  const auto end = text.rfind('\n');
  const std::uint64_t torn = end == std::string::npos ? text.size() : text.size() - end - 1;
  if (end == std::string::npos && wanted < size_)
    return fail(ErrorKind::kCorrupt, "the file of heads has no whole line at its end");
  if (torn > 0) {
    size_ -= torn;
    if (::ftruncate(fd_.get(), static_cast<::off_t>(size_)) != 0 || ::fdatasync(fd_.get()) != 0)
      return fail(ErrorKind::kUnavailable, "cannot cut a torn head", errno);
  }
  if (end == std::string::npos) return {};
  text.resize(end);
  const auto begin = text.rfind('\n');
  const auto head = parse_line(begin == std::string::npos ? text : text.substr(begin + 1));
  if (!head) return fail(ErrorKind::kCorrupt, "the newest line of the heads is no head");
  last_ = *head;
  return {};
}

Status HeadFile::append(const std::string& line) {
  KEYWARD_TRY(parsed, parse_line(line));
  const std::string text = line + "\n";
  const auto written = ::write(fd_.get(), text.data(), text.size());
  if (written != static_cast<::ssize_t>(text.size()) || ::fdatasync(fd_.get()) != 0) {
    const int code = errno;
    // Half a line is taken back; if that fails too, the next start cuts it.
    if (::ftruncate(fd_.get(), static_cast<::off_t>(size_)) != 0)
      return fail(ErrorKind::kUnavailable, "cannot take half a head back", code);
    return fail(ErrorKind::kUnavailable, "cannot write a head", code);
  }
  size_ += text.size();
  last_ = std::move(parsed);
  return {};
}

}  // namespace keyward::audit
