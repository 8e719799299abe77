// Owns when a commit has reached the disk: one fdatasync of the write-ahead log for all that wait.
// Must not know SQL.
//
// The writer commits with synchronous=NORMAL (no sync at commit) under its mutex and leaves it; who
// was promised durability then waits here. One of the waiters syncs for all commits made until
// then; the others share it (group commit without a thread). Why this equals FULL:
// docs/adr/0004-storage.md. Errors: kUnavailable once a sync failed, and for ever after: the kernel
// may have dropped the pages. Threads: any.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>

#include "hal/base/result.h"
#include "hal/base/unique_fd.h"

namespace keyward::store {

class DurableLog {
 public:
  // Takes an open descriptor of the log file.
  explicit DurableLog(UniqueFd fd) : fd_(std::move(fd)) {}
  // The number of the commit just made. Called with the writer's mutex held, right after the
  // commit.
  std::uint64_t committed();
  std::uint64_t last();  // number of the newest commit
  Status wait_durable(std::uint64_t commit);
  std::uint64_t syncs();  // how often the disk was asked; for tests and figures

 private:
  UniqueFd fd_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t committed_ = 0;
  std::uint64_t durable_ = 0;
  std::uint64_t syncs_ = 0;
  bool syncing_ = false;
  bool failed_ = false;
};

}  // namespace keyward::store
