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

JobQueue::JobQueue(int threads, std::size_t jobs_max) : x_jobs_max(jobs_max) {
  for (int i = 0; i < threads; ++i) x_threads.emplace_back([this] { run(); });
}

JobQueue::~JobQueue() {
  stop();
  for (auto& thread : x_threads) thread.join();
}

bool JobQueue::has_room() const {
  const std::lock_guard lock(x_mutex);
  return !x_stopped && x_entries.size() < x_jobs_max;
}

Status JobQueue::post(const std::string& key, Job job, std::int64_t delay_ms) {
  const std::lock_guard lock(x_mutex);
  if (x_stopped) return fail(ErrorKind::kUnavailable, "jobs: stopped");
  if (x_entries.contains(key)) return {};
  if (x_entries.size() >= x_jobs_max) return fail(ErrorKind::kExhausted, "jobs: full");
  x_entries.emplace(key, Entry{std::move(job), 0});
  x_due.emplace(now_ms() + delay_ms, key);
  x_work.notify_one();
  return {};
}

bool JobQueue::has(const std::string& key) const {
  const std::lock_guard lock(x_mutex);
  return x_entries.contains(key);
}

bool JobQueue::wait(const std::string& key, std::int64_t wait_ms) {
  std::unique_lock lock(x_mutex);
  return x_finished.wait_for(lock, std::chrono::milliseconds(wait_ms),
                             [&] { return !x_entries.contains(key); });
}

void JobQueue::stop() {
  const std::lock_guard lock(x_mutex);
  x_stopped = true;
  x_work.notify_all();
}

void JobQueue::run() {
  std::unique_lock lock(x_mutex);
  while (!x_stopped) {
    if (x_due.empty()) {
      x_work.wait(lock);
      continue;
    }
    const auto left = x_due.begin()->first - now_ms();
    if (left > 0) {
      x_work.wait_for(lock, std::chrono::milliseconds(left));
      continue;
    }
    const std::string key = x_due.begin()->second;
    x_due.erase(x_due.begin());
    const auto& entry = x_entries.at(key);
    const Job job = entry.job;
    const int attempt = entry.attempt;
    lock.unlock();
    const auto again_ms = job(attempt);
    lock.lock();
    finish(key, again_ms);
  }
}

void JobQueue::finish(const std::string& key, std::optional<std::int64_t> again_ms) {
  const auto at = x_entries.find(key);
  if (!again_ms) {
    x_entries.erase(at);
    x_finished.notify_all();
    return;
  }
  ++at->second.attempt;
  x_due.emplace(now_ms() + *again_ms, key);
  x_work.notify_one();
}

}  // namespace keyward::acme
