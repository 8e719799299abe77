// Owns floods: threads that misbehave against a front end from addresses of their own, until they
// are stopped. Must not know what is measured meanwhile.
//
// Flooders come from 127.0.1.1 upwards, so that they do not share an address with the clients that
// behave. Threads: one outside.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/simulator/simulator.h"

namespace keyward::test {

struct FloodTarget {
  std::string directory_url, ca_file, authority;  // host:port
  std::uint16_t port = 0;
};
FloodTarget target_of(const Simulator& simulator);

struct FloodCounts {
  std::atomic<std::uint64_t> tried{0};   // connections or requests begun
  std::atomic<std::uint64_t> served{0};  // handshakes finished, or answers below 400
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> held{0};  // connections that the flooder holds open
};

class Flood {
 public:
  // Called in each thread; returns soon after it is asked to stop.
  using Body = std::function<void(int thread, const std::stop_token& stop, FloodCounts& counts)>;
  Flood(int threads, const Body& body);
  ~Flood();
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  const FloodCounts& counts() const { return *counts_; }

 private:
  std::unique_ptr<FloodCounts> counts_ = std::make_unique<FloodCounts>();
  std::vector<std::jthread> threads_;
};

// The address of flooder `number`: 127.0.1.1, 127.0.1.2, ...
std::string flooder(int number);

// ---- connections that are held, and made again when the server ends them. `addresses` share them.
Flood::Body idle_connections(const FloodTarget& target, int total, int threads, int addresses);
Flood::Body slow_handshakes(const FloodTarget& target, int total, int threads, int addresses);
Flood::Body slow_headers(const FloodTarget& target, int total, int threads, int addresses);
Flood::Body slow_bodies(const FloodTarget& target, int total, int threads, int addresses);
// ---- requests as fast as they are answered
Flood::Body huge_requests(const FloodTarget& target, int addresses);
Flood::Body nonces(const FloodTarget& target, int addresses);
Flood::Body accounts(const FloodTarget& target, int addresses);
// One account, all threads.
Flood::Body orders(const FloodTarget& target, int addresses);
// Each thread is an account that asks for the validation of names whose server says nothing.
Flood::Body challenges(const FloodTarget& target, const std::vector<std::string>& silent_names,
                       int addresses);

}  // namespace keyward::test
