// Owns the signer's main thread of work beside requests: gets the PIN, finds and checks the CA key,
// says how the signer is. Must not know policy or messages from the front end.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "apps/signer/figures.h"
#include "firmware/issue/gate.h"
#include "firmware/task/task.h"

namespace keyward::signer {

class AuditKeeper;

// Counts requests under way, so that the end of the process does not take the token from under one.
class InFlight {
 public:
  template <class F>
  auto run(F&& f) {
    const Entry entry(*this);
    return f();
  }
  bool drained_within(std::int64_t ms);

 private:
  struct Entry {
    explicit Entry(InFlight& all) : all_(all) { all_.change(1); }
    ~Entry() { all_.change(-1); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    InFlight& all_;
  };
  void change(int by);
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

// States it reports: "operational"; "degraded" (HSM away: orders wait; the ledger is not the one
// that the counter has seen: nothing is issued; its head cannot be signed: issuing goes on); "locked" (no PIN, or the
// token refused it). A broken ledger ends the process: only a new start may read what the disk
// holds.
class KeyKeeper {
 public:
  KeyKeeper(task::Task& task, issue::Gate& gate, hal::SigningToken& token, std::string key_label,
            issue::KeyOrigin origin, AuditKeeper& audit, Figures figures,
            std::int64_t stuck_exit_ms)
      : task_(task),
        gate_(gate),
        token_(token),
        key_label_(std::move(key_label)),
        origin_(origin),
        audit_(audit),
        figures_(std::move(figures)),
        stuck_exit_ms_(stuck_exit_ms) {}
  ~KeyKeeper() { stop(); }
  void start();
  void stop();

 private:
  struct Report {
    std::string state;
    std::string detail;
    friend bool operator==(const Report&, const Report&) = default;
  };
  void run();
  Report tick();
  void leave_if_stuck(const hal::TokenStatus& status) const;
  void ask_for_time();
  Report ask_for_pin();
  Report take_key();
  std::string issuing_words() const;
  bool wait(std::int64_t ms);  // false: stopping

  task::Task& task_;
  issue::Gate& gate_;
  hal::SigningToken& token_;
  std::string key_label_;
  issue::KeyOrigin origin_;
  AuditKeeper& audit_;
  Figures figures_;
  const std::int64_t stuck_exit_ms_;  // 0: never
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool stopping_ = false;
  // The thread's own.
  bool pin_given_ = false;
  bool key_taken_ = false;
  std::int64_t pin_wait_ms_ = 0;
  std::int64_t next_pin_ms_ = 0;
  std::int64_t next_time_ms_ = 0;
};

// Makes revocation lists when they are due (issue::Crl says when), and tries again after a failure.
class CrlKeeper {
 public:
  CrlKeeper(issue::Gate& gate, InFlight& in_flight) : gate_(gate), in_flight_(in_flight) {}
  void start();
  void end();   // no new list is begun
  void join();  // after end(), once nothing is under way

 private:
  void run();
  issue::Gate& gate_;
  InFlight& in_flight_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace keyward::signer
