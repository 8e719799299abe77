#include "firmware/syslog/spool_reader.h"

#include <algorithm>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hal/base/limits.h"

namespace keyward::syslog {

void SpoolReader::seek(const Place& after) {
  at_ = after;
  file_.reset();
  fd_.reset();
  buffer_.clear();
  taken_ = 0;
}

bool SpoolReader::open(const Place& first) {
  const std::string path = directory_ + "/" + file_name(first);
  (void)sync();  // what was read of the last one is sent after this
  fd_ = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd_) return false;
  file_ = first;
  offset_ = 0;
  buffer_.clear();
  taken_ = 0;
  return true;
}

// True: another file is open now. The first time it is the file that holds the place, or the first one
// after it; then always the next one.
Result<bool> SpoolReader::open_next() {
  KEYWARD_TRY(files, list_files(directory_));
  if (files.empty()) return false;
  if (file_) {
    const auto next = std::ranges::upper_bound(files, *file_);
    return next != files.end() && open(*next);
  }
  // A spool that ends before the place is another one: everything in it is new.
  if (files.back().start < at_.start) at_ = {};
  auto holds = std::ranges::upper_bound(files, Place{at_.start, at_.number + 1});
  if (holds != files.begin()) --holds;
  return open(*holds);
}

// False: nothing more is in the file now.
bool SpoolReader::fill() {
  buffer_.erase(0, taken_);
  taken_ = 0;
  char chunk[16'384];
  ssize_t got = ::pread(fd_.get(), chunk, sizeof chunk, static_cast<off_t>(offset_));
  while (got < 0 && errno == EINTR)
    got = ::pread(fd_.get(), chunk, sizeof chunk, static_cast<off_t>(offset_));
  if (got <= 0) return false;
  offset_ += static_cast<std::uint64_t>(got);
  buffer_.append(chunk, static_cast<std::size_t>(got));
  // No line is so long: it is no line. What follows the next end of line is read again.
  if (buffer_.size() > limits::kSpoolRecordBytesMax + sizeof chunk &&
      buffer_.find('\n') == std::string::npos)
    buffer_.clear();
  return true;
}

std::optional<SpoolItem> SpoolReader::take_line(std::string_view line) {
  auto record = decode(line, file_->start);
  if (!record) return std::nullopt;  // damaged: its number will be missing
  if (record->place <= at_) return std::nullopt;
  SpoolItem out;
  if (record->place.number > at_.number + 1)
    out.missing = Missing{at_.number + 1, record->place.number - 1};
  at_ = record->place;
  out.record = std::move(*record);
  return out;
}

Result<std::optional<SpoolItem>> SpoolReader::next() {
  while (true) {
    if (!fd_) {
      KEYWARD_TRY(opened, open_next());
      if (!opened) return std::optional<SpoolItem>{};
    }
    const auto end = buffer_.find('\n', taken_);
    if (end != std::string::npos) {
      auto item = take_line(std::string_view(buffer_).substr(taken_, end - taken_));
      taken_ = end + 1;
      if (item) return item;
      continue;
    }
    if (fill()) continue;
    // At the end. A later file means that this one is finished; what was written before that is seen
    // by reading once more.
    KEYWARD_TRY(files, list_files(directory_));
    if (files.empty() || files.back() <= *file_) {
      // Its file was destroyed under it, and a new spool is there: start anew.
      if (!files.empty() && files.back() < *file_) seek({});
      return std::optional<SpoolItem>{};
    }
    if (fill()) continue;
    KEYWARD_TRY(opened, open_next());
    if (!opened) return std::optional<SpoolItem>{};
  }
}

Status SpoolReader::sync() {
  if (!fd_ || ::fdatasync(fd_.get()) == 0) return {};
  return fail(ErrorKind::kUnavailable, "cannot make the spool durable", errno);
}

std::uint64_t SpoolReader::bytes_ahead() const {
  const auto files = list_files(directory_);
  if (!files) return 0;
  std::uint64_t out = 0;
  for (const auto& file : *files) {
    struct stat info {};
    if (file_ && file < *file_) continue;
    if (::stat((directory_ + "/" + file_name(file)).c_str(), &info) != 0) continue;
    auto size = static_cast<std::uint64_t>(info.st_size);
    if (file_ && file == *file_) size -= std::min(size, offset_);
    out += size;
  }
  return out + buffer_.size() - taken_;
}

}  // namespace keyward::syslog
