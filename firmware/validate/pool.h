// Owns the worker threads of validations and their bounded queue. Must not know what a job does.
// Threads: any.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "hal/base/clock.h"

namespace keyward::validate {

class Pool {
 public:
  // `late`: the job waited in the queue beyond its deadline and should only say so.
  using Job = std::function<void(bool late)>;
  Pool(int workers, std::size_t queue_max);
  ~Pool();
  // False: the queue is full, the job was not taken.
  bool add(Job job, Deadline start_until);

 private:
  struct Entry {
    Job job;
    Deadline start_until;
  };
  void run();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> queue_;
  std::size_t queue_max_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace keyward::validate
