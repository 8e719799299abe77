// Owns the life of the connection and the threads that call the module. Must not know what a job
// does.
#include "hal/pkcs11/engine.h"

#include <algorithm>
#include <chrono>

#include <signal.h>

#include "hal/pkcs11/return_value.h"

namespace keyward::hal::pkcs11 {
namespace {

std::int64_t now_ms() { return system_clock().monotonic_ms(); }

std::chrono::steady_clock::time_point time_of(std::int64_t monotonic_ms) {
  return std::chrono::steady_clock::time_point(std::chrono::milliseconds(monotonic_ms));
}

// A module that talks over a socket (p11-kit-client) writes into one whose peer is gone: SIGPIPE
// would end the process. Signals are for the threads of the application anyway.
void block_signals() {
  sigset_t all;
  ::sigfillset(&all);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGABRT, SIGTRAP})
    ::sigdelset(&all, fault);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

JobEnd end_of(CK_RV rv, bool effect) {
  if (rv == CKR_OK) return JobEnd::kOk;
  if (is_request_error(rv)) return JobEnd::kCloseSession;
  return effect ? JobEnd::kLost : JobEnd::kLostBefore;
}

Engine::Engine(Pkcs11Config config)
    : config_(std::move(config)), pin_memory_(config_.refused_pins_path) {}

void Engine::start() {
  const Lock lock(mutex_);
  started_ = true;
  session_cap_ = config_.quirks.max_sessions;
  for (int i = 0; i < config_.quirks.max_sessions; ++i) spawn_worker(lock);
  ++live_threads_;
  keeper_ = std::thread([self = shared_from_this()] {
    block_signals();
    self->keeper_loop();
  });
}

bool Engine::stop() {
  Lock lock(mutex_);
  stopping_ = true;
  fail_waiting(lock);
  work_cv_.notify_all();
  keeper_cv_.notify_all();
  pin_cv_.notify_all();
  const bool all_out = keeper_cv_.wait_until(lock, time_of(now_ms() + limits::kTokenCloseMs), [&] {
    return live_threads_ == 0 && inline_calls_ == 0;
  });
  std::vector<std::thread> threads;
  for (auto& worker : workers_) threads.push_back(std::move(worker->thread));
  threads.push_back(std::move(keeper_));
  lock.unlock();
  for (auto& thread : threads) {
    if (!thread.joinable()) continue;
    if (all_out)
      thread.join();
    else
      thread.detach();
  }
  // Never C_Finalize, nor any other call, beside one that is stuck: the last thread out does it.
  if (!all_out) return false;
  idle_.clear();
  module_.reset();
  return true;
}

// ---- workers

void Engine::spawn_worker(const Lock&) {
  auto worker = std::make_shared<Worker>();
  workers_.push_back(worker);
  ++live_threads_;
  worker->thread = std::thread([self = shared_from_this(), worker] {
    block_signals();
    self->worker_loop(worker);
  });
}

bool Engine::may_run(const Lock&) const {
  return state_ == TokenState::kReady && !queue_.empty() &&
         (!idle_.empty() || open_sessions_ < session_cap_);
}

bool Engine::may_queue(const Lock&) const {
  if (stopping_) return false;
  if (state_ == TokenState::kReady) return true;
  return recovering_ && now_ms() - lost_at_ms_ < config_.quirks.stall_ms;
}

void Engine::worker_loop(const std::shared_ptr<Worker>& self) {
  Lock lock(mutex_);
  while (!self->replaced) {
    work_cv_.wait(lock, [&] { return stopping_ || may_run(lock); });
    if (stopping_) break;
    const auto job = queue_.pop();
    if (!take_handle(lock, *job)) {
      complete(lock, job);
      continue;
    }
    self->running_since_ms = std::max<std::int64_t>(now_ms(), 1);
    work_on(lock, job, *self);
    if (self->replaced) --stuck_;
    if (state_ != TokenState::kReady) keeper_cv_.notify_all();
  }
  self->ended = true;
  --live_threads_;
  keeper_cv_.notify_all();
}

// Leases a session, leaves the lock for the call, and gives the session back or closes it.
void Engine::work_on(Lock& lock, const std::shared_ptr<Job>& job, Worker& self) {
  job->state = Job::State::kRunning;
  const auto generation = generation_;
  const auto slot = *slot_;
  Session session;
  if (!idle_.empty()) {
    session = std::move(idle_.back());
    idle_.pop_back();
  } else {
    ++open_sessions_;
  }
  lock.unlock();
  const JobEnd end = execute(session, *job, slot);
  lock.lock();
  const bool current = generation == generation_ && !self.replaced;
  if (current && session) {
    idle_.push_back(std::move(session));
    if (!queue_.empty()) work_cv_.notify_one();
  } else {
    if (current) --open_sessions_;
    lock.unlock();
    session = Session();  // closing is a call too: never under the lock
    lock.lock();
  }
  self.running_since_ms = 0;
  // What a call given up long ago ended with says nothing about the connection of today.
  finish(lock, job, end, self.replaced ? 0 : generation);
}

// The short way for a module that cannot stall (quirks.in_process): the caller makes the call
// itself, which saves two switches of thread. Only while nobody waits, so that priorities hold.
bool Engine::try_inline(Lock& lock, const std::shared_ptr<Job>& job) {
  if (!config_.quirks.in_process || state_ != TokenState::kReady || !queue_.empty()) return false;
  if (idle_.empty() && open_sessions_ >= session_cap_) return false;
  if (!take_handle(lock, *job)) {
    complete(lock, job);
    return true;
  }
  ++inline_calls_;
  Worker self;
  work_on(lock, job, self);
  --inline_calls_;
  if (state_ != TokenState::kReady || stopping_) keeper_cv_.notify_all();
  return true;  // done, or waiting in the queue again for the token to come back
}

// Gives the job the handle of its key in this generation; handles die with a login.
bool Engine::take_handle(const Lock&, Job& job) {
  if (job.key.empty()) return true;
  const auto at = keys_.find(job.key);
  if (at != keys_.end() && at->second.changed)
    job.error = Error{ErrorKind::kCorrupt, "another key carries the label now", 0};
  else if (at == keys_.end() || !at->second.present)
    job.error = Error{ErrorKind::kBadInput, "no key carries the label", 0};
  else
    job.key_handle = at->second.handle;
  return !job.error.has_value();
}

// Outside the lock. A session in which anything went wrong is closed, never used again: an aborted
// operation leaves it with CKR_OPERATION_ACTIVE for ever.
JobEnd Engine::execute(Session& session, Job& job, CK_SLOT_ID slot) {
  if (!session) {
    std::int64_t pause_ms = 0;
    std::shared_ptr<Module> module;
    {
      const Lock lock(mutex_);
      module = module_;
      const auto now = now_ms();
      const auto at = std::max(now, next_open_ms_);
      next_open_ms_ = at + config_.quirks.stagger_open_ms;
      pause_ms = at - now;
    }
    if (pause_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    job.rv = Session::open(std::move(module), slot, session);
    if (job.rv != CKR_OK) return end_of(job.rv, false);
  }
  const JobEnd end = job.work(session, job);
  if (end != JobEnd::kOk) session = Session();
  return end;
}

void Engine::finish(const Lock& lock, const std::shared_ptr<Job>& job, JobEnd end,
                    std::uint64_t generation) {
  if (end == JobEnd::kOk) {
    last_good_ms_ = now_ms();
    failures_ = 0;
    if (job->counts) ++signatures_made_;
  }
  // The module allows fewer sessions than the board says: make do with those that are open.
  const bool no_more_sessions = job->rv == CKR_SESSION_COUNT && open_sessions_ > 0;
  if (no_more_sessions) session_cap_ = std::min(session_cap_, open_sessions_);
  const bool lost = end == JobEnd::kLost || (end == JobEnd::kLostBefore && !no_more_sessions);
  if (lost && generation == generation_) lose(lock, "a call failed: " + rv_text(job->rv));
  if (end == JobEnd::kLostBefore && job->state == Job::State::kRunning &&
      (no_more_sessions || --job->runs_left > 0) && may_queue(lock)) {
    job->state = Job::State::kWaiting;
    queue_.push_front(job);
    work_cv_.notify_one();
    return;
  }
  if (end == JobEnd::kLost || end == JobEnd::kLostBefore)
    job->error =
        Error{ErrorKind::kUnavailable, "the token is away", static_cast<std::int64_t>(job->rv)};
  complete(lock, job);
}

void Engine::complete(const Lock&, const std::shared_ptr<Job>& job) {
  if (job->state != Job::State::kGivenUp) job->state = Job::State::kDone;
  job->done.notify_all();
}

// Called when a caller ran out of patience: no timer is needed, since a stall that nobody waits for
// harms nobody.
void Engine::replace_stuck_workers(const Lock& lock) {
  const auto now = now_ms();
  int found = 0;
  for (std::size_t i = 0, count = workers_.size(); i < count; ++i) {
    auto& worker = *workers_[i];
    if (worker.running_since_ms == 0 || worker.replaced) continue;
    if (now - worker.running_since_ms < config_.quirks.stall_ms) continue;
    if (stuck_ >= config_.quirks.max_sessions) {
      lose(lock, "too many calls are stuck in the module");
      break;
    }
    worker.replaced = true;
    ++stuck_;
    --open_sessions_;
    ++found;
  }
  for (int i = 0; i < found; ++i) spawn_worker(lock);
  std::erase_if(workers_, [](const auto& worker) {
    if (worker->ended && worker->thread.joinable()) worker->thread.join();  // it has left the lock
    return worker->ended;
  });
}

Status Engine::give_up(const Lock& lock, const std::shared_ptr<Job>& job) {
  const bool waiting = job->state == Job::State::kWaiting;
  if (waiting) (void)queue_.remove(job);
  job->state = Job::State::kGivenUp;
  replace_stuck_workers(lock);
  return fail(ErrorKind::kUnavailable, waiting ? "the deadline passed while waiting for the token"
                                               : "the deadline passed inside the token");
}

Status Engine::run(const std::shared_ptr<Job>& job, Deadline deadline) {
  Lock lock(mutex_);
  if (state_ == TokenState::kLocked) return fail(ErrorKind::kUnavailable, "the token is locked");
  if (!may_queue(lock)) return fail(ErrorKind::kUnavailable, "the token is away");
  if (deadline.passed())
    return fail(ErrorKind::kUnavailable, "the deadline passed before the call");
  if (!try_inline(lock, job)) {
    if (!queue_.push_back(job)) return fail(ErrorKind::kExhausted, "the queue of the key is full");
    work_cv_.notify_one();
  }
  const auto over = [&] { return job->state == Job::State::kDone; };
  if (!job->done.wait_until(lock, time_of(deadline.monotonic_ms), over)) return give_up(lock, job);
  if (job->error) return fail(*job->error);
  return {};
}

// ---- keys and status

Result<std::shared_ptr<const KnownKey>> Engine::known_key(const std::string& label) {
  const Lock lock(mutex_);
  const auto at = keys_.find(label);
  if (at == keys_.end() || !at->second.present)
    return fail(ErrorKind::kBadInput, "the key was not found before");
  if (at->second.changed) return fail(ErrorKind::kCorrupt, "another key carries the label now");
  return at->second.known;
}

Status Engine::remember_key(const FoundKey& found) {
  const Lock lock(mutex_);
  return adopt_key(lock, found);
}

Status Engine::adopt_key(const Lock&, const FoundKey& found) {
  const auto& label = found.known->facts.label;
  const auto at = keys_.find(label);
  if (at == keys_.end()) {
    if (keys_.size() >= limits::kTokenKeysMax)
      return fail(ErrorKind::kExhausted, "too many keys are in use");
    keys_[label] = KeyEntry{found.known, found.private_handle, true, false};
    return {};
  }
  auto& entry = at->second;
  entry.present = true;
  entry.changed = !equal(entry.known->facts.spki_der, found.known->facts.spki_der);
  if (entry.changed) return fail(ErrorKind::kCorrupt, "another key carries the label now");
  entry.handle = found.private_handle;
  entry.known = found.known;
  return {};
}

void Engine::distrust(const char* why) {
  const Lock lock(mutex_);
  lose(lock, why);
}

bool Engine::supports(KeyAlgorithm algorithm) {
  const Lock lock(mutex_);
  return is_supported(algorithm, mechanisms_, config_.quirks);
}

TokenStatus Engine::status() {
  const Lock lock(mutex_);
  TokenStatus out;
  out.state = state_;
  out.detail = detail_;
  if (stuck_ > 0) out.detail += "; calls stuck in the module: " + std::to_string(stuck_);
  out.reconnects = std::max<std::int64_t>(times_ready_ - 1, 0);
  out.signatures_made = signatures_made_;
  if (state_ == TokenState::kReady) out.session_age_ms = now_ms() - ready_since_ms_;
  if (state_ != TokenState::kReady && stuck_ > 0) out.stuck_ms = now_ms() - lost_at_ms_;
  if (climb_since_ms_ != 0) out.stuck_ms = std::max(out.stuck_ms, now_ms() - climb_since_ms_);
  return out;
}

}  // namespace keyward::hal::pkcs11
