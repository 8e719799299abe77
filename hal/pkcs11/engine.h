// Owns the life of the connection and the threads that call the module: workers, each with a leased
// session, and one keeper that wins a lost token back. Must not know what a job does.
//
// Callers never enter the module themselves: they wait for a job with a deadline, so a call that
// sticks in the module (a network HSM behind a firewall that forgot the connection) holds a worker
// and not its caller. A worker stuck for longer than quirks.stall_ms is replaced, up to
// max_sessions times; beyond that the token counts as away until a call returns. A module that is
// software in this process may be called by the callers themselves (quirks.in_process). Threads:
// any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "hal/pkcs11/connection.h"
#include "hal/pkcs11/job_queue.h"
#include "hal/pkcs11/pin_memory.h"

namespace keyward::hal::pkcs11 {

// How a job's work ended, for the session and the connection; its result is the job's own matter.
enum class JobEnd : std::uint8_t {
  kOk = 1,
  kCloseSession = 2,  // the request was refused: the operation may still be active in the session
  kLost = 3,          // the token is gone, and the call may have had its effect
  kLostBefore = 4,    // the token is gone, and nothing was done: runs again once it is back
};
// From the return value of the call that failed. `effect`: it may have had its effect.
JobEnd end_of(CK_RV rv, bool effect);

struct Job : QueueEntry {
  enum class State : std::uint8_t { kWaiting, kRunning, kDone, kGivenUp };
  std::function<JobEnd(Session&, Job&)> work;  // on a worker; owns or shares all it touches
  CK_OBJECT_HANDLE key_handle = 0;             // of `key`, valid while work runs
  CK_RV rv = CKR_OK;                           // of the call that failed, for the operator
  bool counts = false;                         // a caller's C_Sign: counted when it ends kOk
  // Under the engine's lock:
  State state = State::kWaiting;
  std::optional<Error> error;  // set if the engine ended it without running it to its end
  int runs_left = 3;           // bounds how often kLostBefore starts it again
  std::condition_variable done;
};

class Engine : public std::enable_shared_from_this<Engine> {
 public:
  explicit Engine(Pkcs11Config config);
  void start();
  // Ends the threads. False: some are stuck in the module; they are left to themselves.
  bool stop();

  Status unlock(SecretBytes pin);
  // Waits for the end of the job or the deadline. kUnavailable, kExhausted, or what the job set.
  Status run(const std::shared_ptr<Job>& job, Deadline deadline);

  // The key under this label if it was found before and is there now. kCorrupt: it changed under
  // its label.
  Result<std::shared_ptr<const KnownKey>> known_key(const std::string& label);
  // Takes what find or generate found. kCorrupt: another key than before; kExhausted.
  Status remember_key(const FoundKey& found);
  // A signature of the token did not verify: start over with a self-test.
  void distrust(const char* why);

  bool supports(KeyAlgorithm algorithm);
  TokenStatus status();
  const Pkcs11Config& config() const { return config_; }

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct KeyEntry {
    std::shared_ptr<const KnownKey> known;
    CK_OBJECT_HANDLE handle = 0;
    bool present = false;
    bool changed = false;  // another key carries the label now
  };
  struct Worker {
    std::int64_t running_since_ms = 0;  // 0: idle
    bool replaced = false;              // stuck; another worker took its place
    bool ended = false;
    std::thread thread;
  };

  // workers
  void spawn_worker(const Lock& lock);
  void worker_loop(const std::shared_ptr<Worker>& self);
  void work_on(Lock& lock, const std::shared_ptr<Job>& job, Worker& self);
  bool try_inline(Lock& lock, const std::shared_ptr<Job>& job);
  bool may_run(const Lock& lock) const;
  bool may_queue(const Lock& lock) const;
  bool take_handle(const Lock& lock, Job& job);
  JobEnd execute(Session& session, Job& job, CK_SLOT_ID slot);
  void finish(const Lock& lock, const std::shared_ptr<Job>& job, JobEnd end,
              std::uint64_t generation);
  void complete(const Lock& lock, const std::shared_ptr<Job>& job);
  void replace_stuck_workers(const Lock& lock);
  Status give_up(const Lock& lock, const std::shared_ptr<Job>& job);

  // connection
  void keeper_loop();
  void rest_while_ready(Lock& lock);
  void submit_health_job(const Lock& lock);
  void reconnect(Lock& lock);
  Attempt climb(const SecretBytes* pin, const std::vector<std::string>& labels);
  void adopt(const Lock& lock, Attempt attempt, std::uint64_t pin_serial);
  Status adopt_key(const Lock& lock, const FoundKey& found);
  void lose(const Lock& lock, std::string why);
  void fail_waiting(const Lock& lock);
  std::size_t busy_workers(const Lock& lock) const;  // running and not given up as stuck

  const Pkcs11Config config_;
  std::mutex mutex_;
  std::condition_variable work_cv_;    // a job or a session is there
  std::condition_variable keeper_cv_;  // lost, PIN given, a worker left the module, stop
  std::condition_variable pin_cv_;     // an attempt ended

  // All below under mutex_, except that module_ and pin_memory_ belong to the keeper alone
  // (module_: workers copy it, under mutex_).
  bool stopping_ = false;
  bool started_ = false;
  TokenState state_ = TokenState::kClosed;
  std::string detail_ = "not tried yet";
  bool recovering_ =
      false;  // the first attempt since the loss is under way: calls may wait for it,
  std::int64_t lost_at_ms_ = 0;  // but not longer than stall_ms: the attempt may itself be stuck
  std::int64_t climb_since_ms_ = 0;  // 0: no attempt is under way
  std::uint64_t generation_ = 1;
  std::shared_ptr<Module> module_;
  std::optional<CK_SLOT_ID> slot_;
  std::vector<Session> idle_;
  int open_sessions_ = 0;  // of this generation, leased ones included
  int session_cap_ = 0;
  std::int64_t next_open_ms_ = 0;
  JobQueue<Job> queue_;
  std::map<std::string, KeyEntry> keys_;
  std::vector<MechanismFact> mechanisms_;
  std::vector<std::shared_ptr<Worker>> workers_;
  std::thread keeper_;
  int live_threads_ = 0;
  int stuck_ = 0;
  int inline_calls_ = 0;

  SecretBytes pin_;
  std::uint64_t pin_serial_ = 0;        // grows with each PIN given
  std::uint64_t pin_tried_serial_ = 0;  // the newest PIN that an attempt has ended with
  bool pin_was_refused_ = false;
  std::mutex pin_memory_mutex_;  // scrypt is slow: not under mutex_
  PinMemory pin_memory_;

  int failures_ = 0;  // attempts in a row, and losses without a signature in between
  std::int64_t next_attempt_ms_ = 0;
  std::int64_t ready_since_ms_ = 0;
  std::int64_t last_good_ms_ = 0;
  std::int64_t times_ready_ = 0;
  std::uint64_t signatures_made_ = 0;
  std::uint64_t signatures_at_ready_ = 0;
};

}  // namespace keyward::hal::pkcs11
