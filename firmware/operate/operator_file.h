// Owns files that an operator's command writes into a running task's own directory: how they are
// written (keywardctl), and how the task notices (polled). Must not know what stands in them.
//
// The command runs as root or as the simulator's user, the task as a user of its own: the file gets
// the owner of the directory it stands in, and mode 0600. The writer follows no symbolic link, since
// the directory belongs to the task and not to the writer. Errors: kUnavailable (not there, no
// access), kRefused (not a plain file, or others may reach it), kExhausted (over its limit).
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/base/unique_fd.h"

namespace keyward::operate {

// One change at a time: holds the directory's lock from reading to writing, and makes the directory
// `folder` below `state_dir` (which must be there) if it is missing.
class OperatorDirectory {
 public:
  static Result<OperatorDirectory> open(const std::string& state_dir, const std::string& folder);
  // Content of a plain file in it; empty if it is not there.
  Result<Bytes> read(const std::string& name, std::size_t bytes_max) const;
  // After a power cut the old content or the new is there, whole.
  Status replace(const std::string& name, ByteView content);

 private:
  explicit OperatorDirectory(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// What identifies one state of a file: a replaced file has another inode, an edited one another
// time.
struct FileMark {
  bool exists = false;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size_bytes = 0;
  std::int64_t changed_ns = 0;
  friend bool operator==(const FileMark&, const FileMark&) = default;
};
FileMark mark_of(const std::string& path);
// A plain file that its owner alone can reach: else kRefused.
Result<Bytes> read_private_file(const std::string& path, std::size_t bytes_max);
void log_bad_file(const std::string& path, const Error& error, bool keeps_earlier);
void log_read_file(const std::string& path);

// The last good content of such a file. A file that is bad or gone leaves the one before in force,
// with one line in the log for each new state. Threads: any; refresh() by one at a time.
template <class T>
class WatchedFile {
 public:
  using Parse = std::function<Result<T>(ByteView)>;
  WatchedFile(std::string path, std::size_t bytes_max, Parse parse)
      : path_(std::move(path)), bytes_max_(bytes_max), parse_(std::move(parse)) {}

  // Looks at the file; true: a new content is in force. Cheap while nothing has changed.
  bool refresh() {
    const FileMark mark = mark_of(path_);
    if (seen_ && mark == mark_) return false;
    const bool was_there = seen_ && mark_.exists;
    seen_ = true;
    mark_ = mark;
    if (!mark.exists && !was_there) return false;  // never there: nothing is in force, nothing said
    auto fresh = load();
    if (!fresh) {
      log_bad_file(path_, fresh.error(), current() != nullptr);
      return false;
    }
    const std::lock_guard lock(mutex_);
    current_ = std::make_shared<const T>(std::move(*fresh));
    log_read_file(path_);
    return true;
  }
  // Null: there never was a good one.
  std::shared_ptr<const T> current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }

 private:
  Result<T> load() const {
    KEYWARD_TRY(bytes, read_private_file(path_, bytes_max_));
    return parse_(bytes);
  }
  std::string path_;
  std::size_t bytes_max_;
  Parse parse_;
  bool seen_ = false;
  FileMark mark_;
  mutable std::mutex mutex_;
  std::shared_ptr<const T> current_;
};

}  // namespace keyward::operate
