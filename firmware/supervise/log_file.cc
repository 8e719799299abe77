#include "firmware/supervise/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keyward::supervise {
namespace {

bool write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

}  // namespace

LogFile::LogFile(std::string path, int echo_fd, std::size_t bytes_max)
    : path_(std::move(path)), echo_fd_(echo_fd), bytes_max_(bytes_max) {}

Status LogFile::open() {
  fd_ =
      UniqueFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!fd_) return fail(ErrorKind::kUnavailable, "cannot open the log file", errno);
  struct stat info {};
  ::fstat(fd_.get(), &info);
  bytes_ = static_cast<std::size_t>(info.st_size);
  return {};
}

void LogFile::rotate() {
  for (int i = limits::kLogFilesMax - 1; i > 0; --i) {
    const std::string from = i == 1 ? path_ : path_ + "." + std::to_string(i - 1);
    ::rename(from.c_str(), (path_ + "." + std::to_string(i)).c_str());
  }
  (void)open();  // without a file the lines are counted as lost
}

void LogFile::line(std::string_view text) {
  std::string whole(text);
  whole += '\n';
  if (echo_fd_ >= 0) (void)write_whole(echo_fd_, whole);
  if (bytes_ + whole.size() > bytes_max_) rotate();
  if (!fd_ || !write_whole(fd_.get(), whole)) {
    ++lost_;
    return;
  }
  bytes_ += whole.size();
}

void LogFile::line_of(std::string_view task, std::string_view text) {
  line(text.starts_with("ts=") ? std::string(text)
                               : "task=" + std::string(task) + " raw=1 " + std::string(text));
  if (tap_) tap_(task, text);
}

void LineCollector::emit(LogFile& log) {
  if (pending_.empty()) return;
  for (char& c : pending_) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  log.line_of(task_, pending_);
  pending_.clear();
}

void LineCollector::take(std::string_view bytes, LogFile& log) {
  for (const char c : bytes) {
    if (c == '\n') {
      emit(log);
      cutting_ = false;
    } else if (!cutting_) {
      pending_ += c;
      // firmware/log adds the time and level in front of its own limit.
      cutting_ = pending_.size() >= limits::kLogLineBytesMax + 64;
    }
  }
}

void LineCollector::finish(LogFile& log) { emit(log); }

}  // namespace keyward::supervise
