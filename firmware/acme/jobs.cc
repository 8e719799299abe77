#include "firmware/acme/jobs.h"

#include <algorithm>
#include <chrono>

#include "hal/base/clock.h"
#include "hal/base/limits.h"

namespace keyward::acme {
namespace {

constexpr std::int64_t kDearMs = 10'000;    // spent of late: more than quick looks ever take
constexpr std::int64_t kRunningMs = 1'000;  // what one that runs counts before its time is known

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

Status JobQueue::post(const std::string& key, Job job, std::int64_t delay_ms,
                      const std::string& owner) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return fail(ErrorKind::kUnavailable, "jobs: stopped");
  if (entries_.contains(key)) return {};
  if (entries_.size() >= jobs_max_ && !displace_for(owner))
    return fail(ErrorKind::kExhausted, "jobs: full");
  entries_.emplace(key, Entry{std::move(job), owner, 0, 0});
  if (!owner.empty()) ++owners_[owner].entries;
  due_.emplace(now_ms() + delay_ms, key);
  work_.notify_one();
  return {};
}

// Takes the place of the last waiting job of whoever has most, if he has more than the newcomer
// would.
bool JobQueue::displace_for(const std::string& owner) {
  const auto own = owners_.find(owner);
  int most = (own == owners_.end() ? 0 : own->second.entries) + 1;
  auto victim = due_.end();
  for (auto at = due_.begin(); at != due_.end(); ++at) {
    const auto& other = entries_.at(at->second).owner;
    if (other.empty() || other == owner) continue;
    const int entries = owners_.at(other).entries;
    if (entries < most || (entries == most && victim == due_.end())) continue;
    most = entries;
    victim = at;
  }
  if (victim == due_.end()) return false;
  const auto entry = entries_.find(victim->second);
  due_.erase(victim);
  forget(entry);
  finished_.notify_all();
  return true;
}

void JobQueue::forget(Entries::iterator at) {
  const auto owner = owners_.find(at->second.owner);
  entries_.erase(at);
  if (owner == owners_.end()) return;
  --owner->second.entries;
  if (owners_.size() <= jobs_max_) return;  // remembered a while, for what they took
  std::erase_if(owners_, [](const auto& other) { return other.second.entries == 0; });
}

std::int64_t JobQueue::spent_ms(Owner& owner, std::int64_t now) const {
  const auto halves = (now - owner.spent_at_ms) / limits::kJobsSpentHalfMs;
  if (halves > 0) {
    owner.spent_ms >>= std::min<std::int64_t>(halves, 62);
    owner.spent_at_ms += halves * limits::kJobsSpentHalfMs;
  }
  return owner.spent_ms + owner.running * kRunningMs;
}

// The one that goes next of those due; the end: none may now.
JobQueue::Due::iterator JobQueue::pick(std::int64_t now) {
  const int threads = static_cast<int>(threads_.size());
  const int of_one_max = std::max(1, threads / 2);
  const int reserve = std::max(1, threads / 4);
  const int of_dear_max = std::max(1, threads - reserve);
  auto best = due_.end();
  std::int64_t least = 0;
  for (auto at = due_.begin(); at != due_.end() && at->first <= now; ++at) {
    const auto& name = entries_.at(at->second).owner;
    if (name.empty()) return at;  // few, and nobody's to multiply
    auto& owner = owners_.at(name);
    const auto spent = spent_ms(owner, now);
    if (owner.running >= of_one_max) continue;
    // What one has begun keeps its thread however long it takes, so the last few are for first ones.
    if (owner.running > 0 && running_ >= of_dear_max) continue;
    if (spent - owner.running * kRunningMs >= kDearMs && running_dear_ >= of_dear_max) continue;
    if (best != due_.end() && spent >= least) continue;
    best = at;
    least = spent;
  }
  return best;
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
    const auto now = now_ms();
    if (const auto next = pick(now); next != due_.end()) {
      try_one(lock, next);
      continue;
    }
    // What is due but may not yet is looked at again when something ends.
    const auto later = due_.upper_bound(now);
    if (later == due_.end())
      work_.wait(lock);
    else
      work_.wait_for(lock, std::chrono::milliseconds(later->first - now));
  }
}

void JobQueue::try_one(std::unique_lock<std::mutex>& lock, Due::iterator at) {
  const std::string key = at->second;
  due_.erase(at);
  const auto& entry = entries_.at(key);
  const Job job = entry.job;
  const int attempt = entry.attempt;
  const auto began = now_ms();
  Owner* owner = entry.owner.empty() ? nullptr : &owners_.at(entry.owner);
  const bool dear =
      owner != nullptr && spent_ms(*owner, began) - owner->running * kRunningMs >= kDearMs;
  if (owner != nullptr) ++owner->running;
  if (dear) ++running_dear_;
  ++running_;
  lock.unlock();
  const auto again_ms = job(attempt);
  lock.lock();
  --running_;
  if (dear) --running_dear_;
  if (owner != nullptr) {
    --owner->running;
    owner->spent_ms += now_ms() - began;
  }
  finish(key, again_ms);
  // Somebody may have waited for a share of the threads.
  if (owner != nullptr) work_.notify_all();
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
    forget(at);
    finished_.notify_all();
    return;
  }
  ++at->second.attempt;
  at->second.tried_at_ms = now_ms();
  const auto share_ms =
      static_cast<std::int64_t>(entries_.size()) * 1'000 / limits::kJobRetriesPerS;
  due_.emplace(at->second.tried_at_ms + std::max(*again_ms, share_ms), key);
  work_.notify_one();
}

}  // namespace keyward::acme
