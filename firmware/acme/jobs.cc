#include "firmware/acme/jobs.h"

#include <algorithm>
#include <chrono>

#include "hal/base/clock.h"
#include "hal/base/limits.h"

namespace keyward::acme {
namespace {

std::int64_t now_ms() { return system_clock().monotonic_ms(); }

}  // namespace

std::int64_t backoff_ms(int attempt) {
  const int doublings = std::clamp(attempt, 0, 16);
  return std::min(limits::kJobBackoffMsMin << doublings, limits::kJobBackoffMsMax);
}

JobQueue::JobQueue(int threads, std::size_t jobs_max) : jobs_max_(jobs_max) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

JobQueue::~JobQueue() {
  stop();
  for (auto& thread : threads_) thread.join();
}

bool JobQueue::has_room() const {
  const std::lock_guard lock(mutex_);
  return !stopped_ && entries_.size() < jobs_max_;
}

Status JobQueue::post(const std::string& key, Job job, std::int64_t delay_ms) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return fail(ErrorKind::kUnavailable, "jobs: stopped");
  if (entries_.contains(key)) return {};
  if (entries_.size() >= jobs_max_) return fail(ErrorKind::kExhausted, "jobs: full");
  entries_.emplace(key, Entry{std::move(job), 0, 0});
  due_.emplace(now_ms() + delay_ms, key);
  work_.notify_one();
  return {};
}

bool JobQueue::has(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  return entries_.contains(key);
}

bool JobQueue::wait(const std::string& key, std::int64_t wait_ms) {
  std::unique_lock lock(mutex_);
  if (threads_.empty()) return !entries_.contains(key);  // nobody would finish it meanwhile
  return finished_.wait_for(lock, std::chrono::milliseconds(wait_ms),
                            [&] { return !entries_.contains(key); });
}

void JobQueue::hasten(const std::string& key, std::int64_t pause_ms) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return;
  const auto at = std::find_if(due_.begin(), due_.end(),
                               [&](const auto& waiting) { return waiting.second == key; });
  const auto earliest = std::max(now_ms(), entry->second.tried_at_ms + pause_ms);
  if (at == due_.end() || at->first <= earliest) return;
  due_.erase(at);
  due_.emplace(earliest, key);
  work_.notify_one();
}

void JobQueue::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  work_.notify_all();
}

void JobQueue::run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (due_.empty()) {
      work_.wait(lock);
      continue;
    }
    const auto left = due_.begin()->first - now_ms();
    if (left > 0) {
      work_.wait_for(lock, std::chrono::milliseconds(left));
      continue;
    }
    try_one(lock, due_.begin());
  }
}

void JobQueue::try_one(std::unique_lock<std::mutex>& lock,
                       std::multimap<std::int64_t, std::string>::iterator at) {
  const std::string key = at->second;
  due_.erase(at);
  const auto& entry = entries_.at(key);
  const Job job = entry.job;
  const int attempt = entry.attempt;
  lock.unlock();
  const auto again_ms = job(attempt);
  lock.lock();
  finish(key, again_ms);
}

bool JobQueue::turn(std::uint64_t choice) {
  std::unique_lock lock(mutex_);
  const auto end = due_.upper_bound(now_ms());
  const auto count = static_cast<std::uint64_t>(std::distance(due_.begin(), end));
  if (stopped_ || count == 0) return false;
  try_one(lock, std::next(due_.begin(), static_cast<std::ptrdiff_t>(choice % count)));
  return true;
}

void JobQueue::finish(const std::string& key, std::optional<std::int64_t> again_ms) {
  const auto at = entries_.find(key);
  if (!again_ms) {
    entries_.erase(at);
    finished_.notify_all();
    return;
  }
  ++at->second.attempt;
  at->second.tried_at_ms = now_ms();
  due_.emplace(at->second.tried_at_ms + *again_ms, key);
  work_.notify_one();
}

}  // namespace keyward::acme
