// Owns the writing side of the spool: lines in, the oldest file out when the bound is reached. Must
// not know who reads it, nor what was sent.
//
// Nothing comes back from the reader: a spool holds the newest lines up to its bound, sent or not, and
// what a slow reader misses it sees by the numbers. Nothing here waits for the disk: the reader makes
// durable what it is about to send. Threads: one.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "firmware/syslog/spool_record.h"
#include "hal/base/unique_fd.h"

namespace keyward::syslog {

struct SpoolOptions {
  std::string directory;
  std::uint64_t bytes_max = 0;     // of all files together
  std::optional<unsigned> reader;  // the group that may read; absent: the owner alone
};

class SpoolWriter {
 public:
  // Makes the folder, removes what is above the bound, and goes on with numbers after the last whole
  // line. kUnavailable: the folder cannot be used.
  static Result<std::unique_ptr<SpoolWriter>> open(SpoolOptions options, std::int64_t utc_ms);

  // Never fails visibly: a full disk must not stop the CA. A line that could not be written leaves
  // a gap in the numbers.
  void line(std::string_view task, std::string_view text, std::int64_t utc_ms);
  std::uint64_t unwritten() const { return unwritten_; }
  std::uint64_t next_number() const { return next_; }

 private:
  struct File {
    Place first;
    std::uint64_t bytes = 0;
  };
  SpoolWriter(SpoolOptions options, std::uint64_t start)
      : options_(std::move(options)), start_(start) {}
  bool begin_file();
  void make_room(std::uint64_t bytes);
  std::string path(const Place& first) const;

  SpoolOptions options_;
  std::uint64_t start_;
  std::uint64_t next_ = 1;
  std::uint64_t unwritten_ = 0;
  std::uint64_t bytes_ = 0;  // of all files
  std::deque<File> files_;   // oldest first; the last one is written to while fd_ is open
  UniqueFd fd_;
};

}  // namespace keyward::syslog
