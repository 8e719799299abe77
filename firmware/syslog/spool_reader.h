// Owns the reading side of the spool: records in order, and how many are missing between them. Must
// not know the network. It writes nothing into the spool's folder.
//
// Files are written while they are read, and removed when the bound is reached. A torn tail (a power
// cut, a full disk) is passed over once a later file is there. Errors: kUnavailable. Threads: one.
#pragma once

#include <optional>

#include "firmware/syslog/spool_record.h"
#include "hal/base/unique_fd.h"

namespace keyward::syslog {

struct Missing {
  std::uint64_t first = 0, last = 0;  // numbers, inclusive
};

struct SpoolItem {
  std::optional<Missing> missing;  // just before the record
  Record record;
};

class SpoolReader {
 public:
  explicit SpoolReader(std::string directory) : directory_(std::move(directory)) {}

  // Goes on after this place. {0, 0}: nothing was received ever, and the first line had
  // number 1.
  void seek(const Place& after);
  // The next record; absent: there is none yet.
  Result<std::optional<SpoolItem>> next();
  // The file that is read becomes durable, as far as it is written.
  Status sync();
  // What is there and was not given out yet.
  std::uint64_t bytes_ahead() const;

 private:
  bool open(const Place& first);
  Result<bool> open_next();
  bool fill();
  std::optional<SpoolItem> take_line(std::string_view line);

  std::string directory_;
  Place at_;                   // the last one that was given out
  std::optional<Place> file_;  // the open one's name
  UniqueFd fd_;
  std::uint64_t offset_ = 0;  // read from the file so far
  std::string buffer_;
  std::size_t taken_ = 0;  // of the buffer
};

}  // namespace keyward::syslog
