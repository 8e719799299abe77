// Owns the bounded queue of calls that wait for a session. Must not know PKCS#11 calls.
// Bound: limits::kSignQueueMax per key. Order: priority, then arrival. Threads: under its owner's
// lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "hal/base/limits.h"
#include "hal/signing_token.h"

namespace keyward::hal::pkcs11 {

struct QueueEntry {
  std::string key;  // label, or empty for calls that sign nothing
  SignPriority priority = SignPriority::kIssuance;
  virtual ~QueueEntry() = default;
};

template <class Entry>  // derives from QueueEntry
class JobQueue {
 public:
  using Pointer = std::shared_ptr<Entry>;

  bool push_back(Pointer entry) {
    if (waiting_[entry->key] >= limits::kSignQueueMax) return false;
    ++waiting_[entry->key];
    lane(*entry).push_back(std::move(entry));
    return true;
  }
  // For an entry that was popped and did not run: not refused, since it was counted before.
  void push_front(Pointer entry) {
    ++waiting_[entry->key];
    lane(*entry).push_front(std::move(entry));
  }
  Pointer pop() {
    for (auto& entries : lanes_) {
      if (entries.empty()) continue;
      Pointer first = std::move(entries.front());
      entries.pop_front();
      forget(*first);
      return first;
    }
    return nullptr;
  }
  bool remove(const Pointer& entry) {
    auto& entries = lane(*entry);
    for (auto at = entries.begin(); at != entries.end(); ++at) {
      if (*at != entry) continue;
      entries.erase(at);
      forget(*entry);
      return true;
    }
    return false;
  }
  bool empty() const {
    for (const auto& entries : lanes_)
      if (!entries.empty()) return false;
    return true;
  }
  std::size_t size() const {
    std::size_t sum = 0;
    for (const auto& entries : lanes_) sum += entries.size();
    return sum;
  }

 private:
  std::deque<Pointer>& lane(const Entry& entry) {
    const auto index = static_cast<std::size_t>(entry.priority);
    return lanes_[index < lanes_.size() ? index : lanes_.size() - 1];
  }
  void forget(const Entry& entry) {
    const auto at = waiting_.find(entry.key);
    if (--at->second == 0) waiting_.erase(at);
  }
  std::array<std::deque<Pointer>, 3> lanes_;
  std::map<std::string, std::size_t> waiting_;
};

}  // namespace keyward::hal::pkcs11
