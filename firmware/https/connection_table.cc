// Owns the places and deadlines of open connections. Must not know HTTP, TLS or civetweb.
#include "firmware/https/connection_table.h"

#include <algorithm>
#include <chrono>

#include <sys/socket.h>

#include "hal/base/limits.h"

namespace keyward::https {
namespace {
constexpr std::int64_t kSleepMs = 60'000;        // nothing has a deadline: look again anyway
constexpr std::int64_t kAfterBodyCutMs = 2'000;  // to send the refusal of a late body
std::int64_t now() { return system_clock().monotonic_ms(); }
}  // namespace

ConnectionTable::ConnectionTable(const Options& options)
    : options_(options),
      connects_(options.connects_per_s, options.connects_per_s * limits::kHttpBurstS),
      thread_([this] { run(); }) {}

ConnectionTable::~ConnectionTable() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::size_t ConnectionTable::open_of(AddressKey address) const {
  const auto at = open_.find(address);
  return at == open_.end() ? 0 : at->second;
}

ConnectionTable::Entry* ConnectionTable::add(int fd, AddressKey address, Phase phase) {
  Entry& entry = entries_.emplace_back();
  entry.fd = fd;
  entry.address = address;
  entry.phase = phase;
  ++open_[address];
  ++open_all_;
  return &entry;
}

ConnectionTable::Verdict ConnectionTable::admit(int fd, AddressKey address,
                                                std::int64_t deadline_after_ms) {
  Entry* entry = nullptr;
  {
    std::lock_guard lock(mutex_);
    const auto now_ms = now();
    if (finishing_) return Verdict::kStopping;
    if (options_.per_address != 0 && open_of(address) >= options_.per_address &&
        !make_room_of(address, now_ms))
      return Verdict::kAddressFull;
    // Some time before the last place is taken: those at work keep theirs.
    const bool made_room = open_all_ >= options_.busy_from && make_room_for(address, now_ms);
    if (open_all_ >= options_.places && !made_room) return Verdict::kFull;
    // Cut connections still have their workers for a moment; more of them than there is room to
    // queue would hold up whoever accepts.
    if (entries_.size() >= 2 * options_.places) return Verdict::kFull;
    // Last, so that who is refused a place pays nothing.
    if (connects_.take(address, now_ms, 0) > 0) return Verdict::kTooFast;
    entry = add(fd, address, Phase::kQueued);
  }
  enter(entry, Phase::kQueued, deadline_after_ms);
  return Verdict::kAdmitted;
}

ConnectionTable::Entry* ConnectionTable::open(int fd, std::int64_t deadline_after_ms) {
  Entry* entry = nullptr;
  {
    std::lock_guard lock(mutex_);
    for (Entry& other : entries_)
      if (other.fd == fd && other.phase == Phase::kQueued) entry = &other;
    if (entry == nullptr) entry = add(fd, 0, Phase::kHandshake);  // accepted by somebody else
    if (finishing_) ::shutdown(fd, SHUT_RDWR);
    if (entry->cut) {
      entry->phase = Phase::kHandshake;
      return entry;
    }
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
  cut(*entry);
  entries_.remove_if([entry](const Entry& other) { return &other == entry; });
  if (entries_.empty()) emptied_.notify_all();
}

bool ConnectionTable::is_busy() {
  std::lock_guard lock(mutex_);
  return finishing_ || open_all_ > options_.busy_from;
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

std::uint64_t ConnectionTable::displaced() {
  std::lock_guard lock(mutex_);
  return displaced_;
}

// It counts no more, though its worker has it until it notices.
void ConnectionTable::cut(Entry& entry) {
  if (entry.cut) return;
  entry.cut = true;
  --open_all_;
  const auto at = open_.find(entry.address);
  if (--at->second == 0) open_.erase(at);
}

void ConnectionTable::displace(Entry& entry) {
  cut(entry);
  ++displaced_;
  ::shutdown(entry.fd, SHUT_RDWR);
}

// `at_once`: an address that holds more than its share is not asked how long it waits.
bool ConnectionTable::may_lose_place(const Entry& entry, std::int64_t now_ms, bool at_once) const {
  if (entry.cut) return false;
  const auto waited_ms = now_ms - entry.since_ms;
  switch (entry.phase) {
    case Phase::kQueued:
    case Phase::kHandshake:
    case Phase::kWaiting:
    case Phase::kPaced:
      return at_once || waited_ms >= options_.busy_wait_ms;
    case Phase::kBody:  // something is under way: it gets a fair time
    case Phase::kResponse:
      return waited_ms >= limits::kHttpUnfairWaitMs;
    case Phase::kDraining:
      return true;
    case Phase::kWorking:
      return false;
  }
  return false;
}

bool ConnectionTable::make_room_of(AddressKey address, std::int64_t now_ms) {
  Entry* longest = nullptr;
  for (Entry& entry : entries_) {
    if (entry.address != address || !may_lose_place(entry, now_ms, false)) continue;
    if (longest == nullptr || entry.since_ms < longest->since_ms) longest = &entry;
  }
  if (longest != nullptr) displace(*longest);
  return longest != nullptr;
}

bool ConnectionTable::make_room_for(AddressKey address, std::int64_t now_ms) {
  const auto own = open_of(address);
  Entry* victim = nullptr;
  std::size_t victims = 0;  // places of its address
  for (Entry& entry : entries_) {
    if (entry.cut) continue;
    const auto open = open_of(entry.address);
    if (open < victims || !may_lose_place(entry, now_ms, open > own + 1)) continue;
    if (victim != nullptr && open == victims && entry.since_ms >= victim->since_ms) continue;
    victim = &entry;
    victims = open;
  }
  if (victim != nullptr) displace(*victim);
  return victim != nullptr;
}

void ConnectionTable::cut_late(std::int64_t now_ms) {
  wake_ms_ = now_ms + kSleepMs;
  for (Entry& entry : entries_) {
    if (entry.deadline_ms == 0) continue;
    // At the end the listener may have closed what no worker took.
    if (finishing_ && entry.phase == Phase::kQueued) continue;
    if (entry.deadline_ms <= now_ms) {
      const bool may_answer = entry.phase == Phase::kBody && !entry.cut;
      ::shutdown(entry.fd, may_answer ? SHUT_RD : SHUT_RDWR);
      cut(entry);
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
