// Owns a loop of enrolments beside a test: make-believe devices enrol again and again while the
// test breaks the appliance; every certificate they were given is kept. Must not know what is
// broken.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/acme_client/acme_client.h"
#include "tests/support/simulator/simulator.h"
#include "tests/support/statement/statement.h"

namespace keyward::test {

class EnrolLoop {
 public:
  // A client gives an order up after `patience_ms`.
  EnrolLoop(const Simulator& simulator, int clients, std::int64_t patience_ms = 60'000);
  ~EnrolLoop() { stop(); }
  EnrolLoop(const EnrolLoop&) = delete;
  EnrolLoop& operator=(const EnrolLoop&) = delete;

  int enrolled() const { return enrolled_.load(); }
  int failed() const {
    return failed_.load();
  }  // tries that ended in an error, all of them tried again
  // False at the deadline.
  bool wait_for(int enrolled, std::int64_t timeout_ms) const;
  void stop();
  // Serial numbers (lower-case hexadecimal) of the certificates that clients were given.
  std::vector<std::string> serials() const;
  std::string last_failure() const;

 private:
  void run(int number);
  const std::int64_t patience_ms_;
  std::string directory_url_, ca_file_, manufacturer_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> enrolled_{0}, failed_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> serials_;
  std::string last_failure_;
  std::vector<std::thread> threads_;
};

// Compares what clients were given with the ledger: no serial twice on either side, every
// certificate issued according to the ledger, the chain whole. The text is empty if all holds.
std::string ledger_contradiction(const Simulator& simulator,
                                 const std::vector<std::string>& given_serials);

// Counts of `keywardctl ledger show --json`, e.g. "issued", "abandoned"; -1 if it cannot be read.
long ledger_count(const Simulator& simulator, const std::string& what);

}  // namespace keyward::test
