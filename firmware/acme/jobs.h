// Owns work that outlives a request: a bounded set of keyed jobs, tried again later when a peer is
// away. Must not know what a job does.
//
// A key is in the set once: posting it again while it waits or runs changes nothing.
//
// A job may have an owner: the account that asked for it. No owner keeps more than half of the
// threads; the last quarter of them is for owners of whom nothing runs, and whose jobs did not take
// long of late (a name whose server is silent takes twenty seconds); and of the jobs that are due,
// the one goes first whose owner was served least. When the set is full, an owner of
// many loses his last waiting one to an owner of fewer. So a job with an owner must be one that is
// found again in the store. Threads: any; jobs run on the queue's own threads.
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

// The pause before try number `attempt` (0: the first retry), milliseconds, doubled each time up to
// limits::kJobBackoffMsMax.
std::int64_t backoff_ms(int attempt);

class JobQueue {
 public:
  // Does one try. Empty: finished. A value: try again after so many milliseconds, or later where so
  // many jobs wait that all of them would be tried more often than limits::kJobRetriesPerS.
  using Job = std::function<std::optional<std::int64_t>(int attempt)>;

  // With 0 threads jobs run only when the owner turns them (turn): one after the other, in an order
  // that the owner chooses. The simulation of the whole system needs that (docs/simulation.md).
  JobQueue(int threads, std::size_t jobs_max);
  ~JobQueue();  // stops, and waits for the tries under way

  bool has_room() const;
  // kExhausted: the set is full. kUnavailable: stopped.
  Status post(const std::string& key, Job job, std::int64_t delay_ms = 0,
              const std::string& owner = {});
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
    std::string owner;  // "": nobody's, and not to be displaced
    int attempt = 0;
    std::int64_t tried_at_ms = 0;  // monotonic; the end of the last try
  };
  struct Owner {
    int entries = 0;
    int running = 0;
    std::int64_t spent_ms = 0;  // halves every limits::kJobsSpentHalfMs
    std::int64_t spent_at_ms = 0;
  };
  using Entries = std::map<std::string, Entry>;
  using Due = std::multimap<std::int64_t, std::string>;
  void run();
  Due::iterator pick(std::int64_t now_ms);
  void try_one(std::unique_lock<std::mutex>& lock, Due::iterator at);
  std::int64_t spent_ms(Owner& owner, std::int64_t now_ms) const;
  bool displace_for(const std::string& owner);
  void forget(Entries::iterator at);
  void finish(const std::string& key, std::optional<std::int64_t> again_ms);

  const std::size_t jobs_max_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable finished_;
  Entries entries_;
  Due due_;  // waiting entries by time
  std::map<std::string, Owner> owners_;
  int running_ = 0;
  int running_dear_ = 0;  // jobs of owners that took long
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace keyward::acme
