// Owns the deadlines of open connections. Must not know HTTP, TLS or civetweb.
#include "firmware/https/connection_table.h"

#include <algorithm>
#include <chrono>

#include <sys/socket.h>

namespace keyward::https {
namespace {
constexpr std::int64_t kSleepMs = 60'000;        // nothing has a deadline: look again anyway
constexpr std::int64_t kAfterBodyCutMs = 2'000;  // to send the refusal of a late body
std::int64_t now() { return system_clock().monotonic_ms(); }
}  // namespace

ConnectionTable::ConnectionTable(std::size_t busy_from, std::int64_t busy_wait_ms)
    : busy_from_(busy_from), busy_wait_ms_(busy_wait_ms), thread_([this] { run(); }) {}

ConnectionTable::~ConnectionTable() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

ConnectionTable::Entry* ConnectionTable::open(int fd, std::int64_t deadline_after_ms) {
  Entry* entry = nullptr;
  {
    std::lock_guard lock(mutex_);
    if (entries_.size() >= busy_from_) make_room(now());
    entry = &entries_.emplace_back();
    entry->fd = fd;
    if (finishing_) ::shutdown(fd, SHUT_RDWR);
  }
  enter(entry, Phase::kHandshake, deadline_after_ms);
  return entry;
}

void ConnectionTable::enter(Entry* entry, Phase phase, std::int64_t deadline_after_ms) {
  bool sooner = false;
  {
    std::lock_guard lock(mutex_);
    entry->phase = phase;
    entry->since_ms = now();
    entry->deadline_ms = deadline_after_ms > 0 ? entry->since_ms + deadline_after_ms : 0;
    sooner = entry->deadline_ms != 0 && entry->deadline_ms < wake_ms_;
  }
  if (sooner) changed_.notify_all();
}

bool ConnectionTable::was_cut(const Entry* entry) {
  std::lock_guard lock(mutex_);
  return entry->cut;
}

void ConnectionTable::close(Entry* entry) {
  std::lock_guard lock(mutex_);
  entries_.remove_if([entry](const Entry& other) { return &other == entry; });
  if (entries_.empty()) emptied_.notify_all();
}

bool ConnectionTable::is_busy() {
  std::lock_guard lock(mutex_);
  return finishing_ || entries_.size() > busy_from_;
}

std::size_t ConnectionTable::size() {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

void ConnectionTable::finish(Deadline deadline) {
  const auto cut_if = [this](auto&& condition) {
    for (Entry& entry : entries_)
      if (condition(entry)) ::shutdown(entry.fd, SHUT_RDWR);
  };
  std::unique_lock lock(mutex_);
  finishing_ = true;
  cut_if([](const Entry& entry) {
    return entry.phase != Phase::kBody && entry.phase != Phase::kWorking &&
           entry.phase != Phase::kResponse;
  });
  emptied_.wait_for(lock, std::chrono::milliseconds(deadline.remaining_ms()),
                    [this] { return entries_.empty(); });
  cut_if([](const Entry&) { return true; });
}

void ConnectionTable::make_room(std::int64_t now_ms) {
  Entry* longest = nullptr;
  for (Entry& entry : entries_) {
    if (entry.phase != Phase::kWaiting || entry.cut || now_ms - entry.since_ms < busy_wait_ms_)
      continue;
    if (longest == nullptr || entry.since_ms < longest->since_ms) longest = &entry;
  }
  if (longest == nullptr) return;
  longest->cut = true;
  ::shutdown(longest->fd, SHUT_RDWR);
}

void ConnectionTable::cut_late(std::int64_t now_ms) {
  wake_ms_ = now_ms + kSleepMs;
  for (Entry& entry : entries_) {
    if (entry.deadline_ms == 0) continue;
    if (entry.deadline_ms <= now_ms) {
      const bool may_answer = entry.phase == Phase::kBody && !entry.cut;
      ::shutdown(entry.fd, may_answer ? SHUT_RD : SHUT_RDWR);
      entry.cut = true;
      entry.deadline_ms = may_answer ? now_ms + kAfterBodyCutMs : 0;
    }
    if (entry.deadline_ms != 0) wake_ms_ = std::min(wake_ms_, entry.deadline_ms);
  }
}

void ConnectionTable::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    cut_late(now());
    changed_.wait_for(lock, std::chrono::milliseconds(std::max<std::int64_t>(1, wake_ms_ - now())));
  }
}

}  // namespace keyward::https
