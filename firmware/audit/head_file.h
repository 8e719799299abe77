// Owns heads.jsonl beside the ledger: appending a line so that a power cut leaves it whole or not
// there, and finding the newest. Must not know keys. Errors: kUnavailable (disk), kCorrupt (the
// last whole line is no head). Threads: one.
#pragma once

#include "firmware/audit/head.h"
#include "hal/base/unique_fd.h"

namespace keyward::audit {

class HeadFile {
 public:
  // Makes it if it is not there, and cuts a last line that never got whole.
  static Result<HeadFile> open(const std::string& path);
  const std::optional<SignedHead>& last() const { return last_; }
  Status append(const std::string& line);  // durable when it returns

 private:
  explicit HeadFile(UniqueFd fd) : fd_(std::move(fd)) {}
  Status read_last();
  UniqueFd fd_;
  std::uint64_t size_ = 0;
  std::optional<SignedHead> last_;
};

}  // namespace keyward::audit
