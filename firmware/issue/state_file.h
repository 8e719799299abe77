// Owns an append-only file of rows that the signer must remember: each durable before it counts,
// all read back at start. Must not know what a row means.
//
// What such a file holds takes power away (a key that was replaced, a credential that was
// withdrawn), so that damage to it may not pass for "nothing was written": anything but a torn last
// row is kCorrupt, and the signer does not start. Errors: kCorrupt, kUnavailable (disk),
// kExhausted (over its limit). Threads: append() from any.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "hal/base/bytes.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"

namespace keyward::issue {

class RecordFile;

class StateFile {
 public:
  static Result<std::unique_ptr<StateFile>> open(
      const std::string& path, std::size_t row_bytes_max,
      const std::function<Status(ByteView row)>& visit,
      std::size_t bytes_max = limits::kSignerStateFileBytesMax);
  ~StateFile();
  Status append(ByteView row);  // durable when it returns

 private:
  StateFile(std::shared_ptr<RecordFile> file, std::size_t bytes_max);
  std::shared_ptr<RecordFile> file_;
  std::size_t bytes_max_;
};

}  // namespace keyward::issue
