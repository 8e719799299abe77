// Owns work that outlives a request: a bounded set of keyed jobs, tried again later when a peer is
// away. Must not know what a job does.
//
// A key is in the set once: posting it again while it waits or runs changes nothing. Threads: any;
// jobs run on the queue's own threads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "hal/base/result.h"

namespace keyward::acme {

// The pause before try number `attempt` (0: the first retry), milliseconds, doubled each time.
std::int64_t backoff_ms(int attempt);

class JobQueue {
 public:
  // Does one try. Empty: finished. A value: try again after so many milliseconds.
  using Job = std::function<std::optional<std::int64_t>(int attempt)>;

  // With 0 threads jobs run only when the owner turns them (turn): one after the other, in an order
  // that the owner chooses. The simulation of the whole system needs that (docs/simulation.md).
  JobQueue(int threads, std::size_t jobs_max);
  ~JobQueue();  // stops, and waits for the tries under way

  bool has_room() const;
  // kExhausted: the set is full. kUnavailable: stopped.
  Status post(const std::string& key, Job job, std::int64_t delay_ms = 0);
  bool has(const std::string& key) const;
  // Waits until the key is finished; false: it is not, after `wait_ms`.
  bool wait(const std::string& key, std::int64_t wait_ms);
  // Brings the next try of a waiting key forward: now, but no sooner than `pause_ms` after the end
  // of the last one. Nothing happens to a key that runs, that is due sooner, or that is not here.
  void hasten(const std::string& key, std::int64_t pause_ms);
  // Does the next try of one job that is due, the (choice mod number of due ones)th by time; false:
  // none is due. For queues without threads.
  bool turn(std::uint64_t choice);
  void stop();

 private:
  struct Entry {
    Job job;
    int attempt = 0;
    std::int64_t tried_at_ms = 0;  // monotonic; the end of the last try
  };
  using Entries = std::map<std::string, Entry>;
  void run();
  void try_one(std::unique_lock<std::mutex>& lock,
               std::multimap<std::int64_t, std::string>::iterator at);
  void finish(const std::string& key, std::optional<std::int64_t> again_ms);

  const std::size_t jobs_max_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable finished_;
  Entries entries_;
  std::multimap<std::int64_t, std::string> due_;  // waiting entries by time
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace keyward::acme
