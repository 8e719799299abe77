// Owns the one bounded log: lines of all tasks, rotated by size. Must not know what lines mean.
// A line that a task's library wrote past firmware/log gets the task's name in front. Threads: one.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "hal/base/unique_fd.h"

namespace keyward::supervise {

class LogFile {
 public:
  // PATH, PATH.1, ... PATH.<kLogFilesMax - 1>. `echo_fd` gets each line too (-1: none).
  LogFile(std::string path, int echo_fd, std::size_t bytes_max = limits::kLogFileBytesMax);
  Status open();
  void line(std::string_view
                text);  // without its end; never fails visibly: a full disk must not stop the CA
  // Each line of a task goes here too; called from line_of().
  using Tap = std::function<void(std::string_view task, std::string_view text)>;
  void set_tap(Tap tap) { tap_ = std::move(tap); }
  void line_of(std::string_view task, std::string_view text);
  std::size_t lost() const { return lost_; }  // lines that could not be written

 private:
  void rotate();
  std::string path_;
  int echo_fd_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::size_t lost_ = 0;
  UniqueFd fd_;
  Tap tap_;
};

// Cuts what arrives on one task's standard error into lines of at most kLogLineBytesMax.
class LineCollector {
 public:
  explicit LineCollector(std::string task) : task_(std::move(task)) {}
  void take(std::string_view bytes, LogFile& log);
  void finish(LogFile& log);  // what is left without an end of line

 private:
  void emit(LogFile& log);
  std::string task_;
  std::string pending_;
  bool cutting_ = false;  // the rest of an overlong line is dropped
};

}  // namespace keyward::supervise
