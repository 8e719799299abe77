#include "firmware/syslog/spool_writer.h"

#include <algorithm>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hal/base/file.h"
#include "hal/base/limits.h"

namespace keyward::syslog {
namespace {

// The number of the last whole line, or 0. Reads the tail alone: lines before it are older.
std::uint64_t last_number(const std::string& path, std::uint64_t start) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return 0;
  const auto size = static_cast<std::uint64_t>(info.st_size);
  const auto tail = std::min<std::uint64_t>(size, limits::kSpoolScanBytesMax);
  std::string text(tail, '\0');
  const auto got = ::pread(fd.get(), text.data(), text.size(), static_cast<off_t>(size - tail));
  if (got <= 0) return 0;
  std::string_view rest(text.data(), static_cast<std::size_t>(got));
  std::uint64_t last = 0;
  for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    if (const auto record = decode(rest.substr(0, end), start)) last = record->place.number;
    rest.remove_prefix(end + 1);
  }
  return last;
}

}  // namespace

std::string SpoolWriter::path(const Place& first) const {
  return options_.directory + "/" + file_name(first);
}

Result<std::unique_ptr<SpoolWriter>> SpoolWriter::open(SpoolOptions options, std::int64_t utc_ms) {
  KEYWARD_CHECK(make_directories(options.directory, 0700));
  const unsigned mode = options.reader ? 0750 : 0700;
  if (::chmod(options.directory.c_str(), mode) != 0)
    return fail(ErrorKind::kUnavailable, "cannot set the mode of the spool's folder", errno);
  if (options.reader && ::chown(options.directory.c_str(), static_cast<uid_t>(-1), *options.reader))
    return fail(ErrorKind::kUnavailable, "cannot give the spool's folder to its reader", errno);
  KEYWARD_TRY(found, list_files(options.directory));
  // Above every start that is there, also when the clock went back.
  auto start = static_cast<std::uint64_t>(std::max<std::int64_t>(utc_ms, 1));
  if (!found.empty()) start = std::max(start, found.back().start + 1);
  std::unique_ptr<SpoolWriter> out(new SpoolWriter(std::move(options), start));
  for (const auto& place : found) {
    struct stat info {};
    if (::stat(out->path(place).c_str(), &info) != 0) continue;
    out->files_.push_back({place, static_cast<std::uint64_t>(info.st_size)});
    out->bytes_ += static_cast<std::uint64_t>(info.st_size);
    out->next_ =
        std::max({out->next_, place.number, last_number(out->path(place), place.start) + 1});
  }
  out->make_room(0);
  return out;
}

// The oldest lines give way. The file that is being written stays.
void SpoolWriter::make_room(std::uint64_t bytes) {
  const std::size_t open_files = fd_ ? 1 : 0;
  while (files_.size() > open_files &&
         (bytes_ + bytes > options_.bytes_max || files_.size() > limits::kSpoolFilesMax)) {
    ::unlink(path(files_.front().first).c_str());
    bytes_ -= std::min(bytes_, files_.front().bytes);
    files_.pop_front();
  }
}

bool SpoolWriter::begin_file() {
  const Place first{start_, next_};
  fd_ = UniqueFd(::open(path(first).c_str(),
                        O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!fd_) return false;
  ::fchmod(fd_.get(), options_.reader ? 0640 : 0600);
  if (options_.reader && ::fchown(fd_.get(), static_cast<uid_t>(-1), *options_.reader) != 0) {
    fd_.reset();
    return false;
  }
  files_.push_back({first, 0});
  return true;
}

void SpoolWriter::line(std::string_view task, std::string_view text, std::int64_t utc_ms) {
  const std::string whole = encode({{start_, next_}, utc_ms, std::string(task), std::string(text)});
  const auto file_bytes_max = options_.bytes_max / limits::kSpoolSegments;
  if (fd_ && files_.back().bytes + whole.size() > file_bytes_max) fd_.reset();
  make_room(whole.size());
  const bool ready = fd_ || begin_file();
  ++next_;
  if (!ready) {
    ++unwritten_;
    return;
  }
  ssize_t wrote = ::write(fd_.get(), whole.data(), whole.size());
  while (wrote < 0 && errno == EINTR) wrote = ::write(fd_.get(), whole.data(), whole.size());
  if (wrote > 0) {
    files_.back().bytes += static_cast<std::uint64_t>(wrote);
    bytes_ += static_cast<std::uint64_t>(wrote);
  }
  if (wrote == static_cast<ssize_t>(whole.size())) return;
  // A torn line ends its file: the next line begins another one.
  ++unwritten_;
  fd_.reset();
}

}  // namespace keyward::syslog
