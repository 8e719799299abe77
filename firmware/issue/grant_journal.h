// Owns the file that lets grants live through a restart. Must not know what may be granted.
//
// Append-only records (record_file.h), one grant each; rewritten with the live ones at start and
// when it has grown over its limit. A grant good for any order is durable before it counts; one for
// a single order outlives the process, but not a power cut. A damaged journal loses grants and
// never makes one: what follows the damage is dropped, and the accounts prove their names again.
// Threads: any.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "firmware/issue/grants.h"
#include "hal/base/clock.h"

namespace keyward::issue {

class RecordFile;

// The table and its journal together.
class GrantBook {
 public:
  static Result<std::unique_ptr<GrantBook>> open(const std::string& path, const Clock& clock);
  ~GrantBook();

  Status record(const Grant& grant);  // journalled, then live
  // Gone from the table at once, and durably when it returns. After an error the proofs may come
  // back with the next start: say so to who asked.
  Status withdraw(std::span<const Digest256> thumbprints, const wire::Identifier& identifier);
  GrantTable& table() { return table_; }
  bool damaged_at_start() const { return damaged_; }

 private:
  GrantBook(std::string path, const Clock& clock) : path_(std::move(path)), clock_(clock) {}
  Status rewrite();  // mutex_ held, or before anyone else knows this

  std::string path_;
  const Clock& clock_;
  GrantTable table_;
  bool damaged_ = false;
  std::mutex mutex_;  // guards file_, so that a rewrite loses no append
  std::shared_ptr<RecordFile> file_;
};

}  // namespace keyward::issue
