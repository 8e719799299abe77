// Owns clients that do everything but finalize, again and again, and time each request: what an
// outage of the HSM must not slow down. Must not know what is broken.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/acme_client/acme_client.h"
#include "tests/support/simulator/simulator.h"

namespace keyward::test {

// Microseconds by what was asked: newNonce, newOrder, authz, challenge, order.
using Latencies = std::map<std::string, std::vector<std::int64_t>>;
std::int64_t p99_us(std::vector<std::int64_t> values);
std::size_t count_of(const Latencies& latencies);

class Walkers {
 public:
  Walkers(const Simulator& simulator, int clients);
  ~Walkers() { stop(); }
  Walkers(const Walkers&) = delete;
  Walkers& operator=(const Walkers&) = delete;

  void stop();
  Latencies take();                                // what was measured since the last take()
  int refused() const { return refused_.load(); }  // answers of 400 and above, and none at all
  std::string last_refusal() const;

 private:
  void run(int number);
  bool walk(AcmeClient& client, const std::string& name);
  void note(std::string_view path, int status, std::int64_t us);
  const Simulator& simulator_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> refused_{0};
  mutable std::mutex mutex_;
  Latencies latencies_;
  std::string last_refusal_;
  std::vector<std::thread> threads_;
};

}  // namespace keyward::test
