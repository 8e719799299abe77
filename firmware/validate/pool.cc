#include "firmware/validate/pool.h"

namespace keyward::validate {

Pool::Pool(int workers, std::size_t queue_max) : queue_max_(queue_max) {
  for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { run(); });
}

Pool::~Pool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    queue_.clear();
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

bool Pool::add(Job job, Deadline start_until) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || queue_.size() >= queue_max_) return false;
    queue_.push_back({std::move(job), start_until});
  }
  changed_.notify_one();
  return true;
}

void Pool::run() {
  while (true) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (stop_) return;
    const Entry entry = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    entry.job(entry.start_until.passed());
  }
}

}  // namespace keyward::validate
