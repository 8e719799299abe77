// Owns an append-only file of framed records with group commit. Must not know what a record means.
//
// A record on disk: length u32be | ~length u32be | body | SHA-256(body). The complement tells a
// damaged length from a torn tail, the digest a half-written body from a whole one. Group commit:
// appenders write under a lock; of those that wait for the disk one runs fdatasync for all. Errors:
// kUnavailable (write or sync failed: the file is broken from then on and refuses everything, since
// after a failed fdatasync nobody knows what the disk holds), kCorrupt (read back and found
// damaged). Threads: all methods of RecordFile may be called from any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/base/unique_fd.h"

namespace keyward::issue {

inline constexpr std::size_t kRecordHeadBytes = 8;
inline constexpr std::size_t kRecordTailBytes = 32;

enum class TailState : std::uint8_t { kClean = 1, kTorn = 2 };

struct RecordScan {
  std::uint64_t records = 0;
  std::uint64_t good_bytes = 0;  // up to here every record is whole
  std::uint64_t torn_bytes = 0;  // after it: one record that never got whole
  TailState tail = TailState::kClean;
};

// Calls `visit` for each whole record, in order. A single incomplete record at the very end is a
// torn tail (a crash while writing); any other damage is kCorrupt. kUnavailable: cannot open or
// read.
using RecordVisitor =
    std::function<Status(ByteView body, const Digest256& digest, std::uint64_t offset)>;
Result<RecordScan> scan_records(const std::string& path, std::size_t body_bytes_max,
                                const RecordVisitor& visit);

class RecordFile {
 public:
  // Creates the file if it is not there (and syncs its directory); cuts it to `keep_bytes` if
  // longer.
  static Result<std::shared_ptr<RecordFile>> open(const std::string& path,
                                                  std::size_t body_bytes_max,
                                                  std::uint64_t keep_bytes);

  struct Place {
    std::uint64_t offset = 0;
    std::uint64_t end = 0;
    Digest256 digest{};  // of the body
  };
  Result<Place> append(ByteView body);  // written, not yet durable
  Status sync(std::uint64_t end);       // returns when everything before `end` is durable
  Result<Bytes> read(std::uint64_t offset) const;
  std::uint64_t size_bytes() const;
  bool broken() const;

 private:
  RecordFile(UniqueFd fd, std::size_t body_bytes_max, std::uint64_t size);
  UniqueFd fd_;
  std::size_t body_bytes_max_;
  mutable std::mutex mutex_;
  std::condition_variable synced_changed_;
  std::uint64_t written_ = 0;
  std::uint64_t synced_ = 0;
  bool sync_running_ = false;
  bool broken_ = false;
};

}  // namespace keyward::issue
