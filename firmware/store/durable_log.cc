#include "firmware/store/durable_log.h"

#include <errno.h>
#include <unistd.h>

namespace keyward::store {

std::uint64_t DurableLog::committed() {
  const std::lock_guard lock(mutex_);
  return ++committed_;
}

std::uint64_t DurableLog::last() {
  const std::lock_guard lock(mutex_);
  return committed_;
}

std::uint64_t DurableLog::syncs() {
  const std::lock_guard lock(mutex_);
  return syncs_;
}

Status DurableLog::wait_durable(std::uint64_t commit) {
  std::unique_lock lock(mutex_);
  while (durable_ < commit) {
    if (failed_) return fail(ErrorKind::kUnavailable, "an earlier sync of the log failed");
    if (syncing_) {
      changed_.wait(lock);
      continue;
    }
    syncing_ = true;
    const std::uint64_t target =
        committed_;  // all of these are written: they were committed before
    lock.unlock();
    const int code = ::fdatasync(fd_.get());
    const int why = errno;
    lock.lock();
    syncing_ = false;
    ++syncs_;
    failed_ = code != 0;
    if (!failed_) durable_ = target;
    changed_.notify_all();
    if (failed_) return fail(ErrorKind::kUnavailable, "the log cannot be synced", why);
  }
  return {};
}

}  // namespace keyward::store
