// Owns the keeper's part of the engine: losing the token and winning it back, the PIN, health.
#include <algorithm>
#include <chrono>

#include "hal/pkcs11/engine.h"

namespace keyward::hal::pkcs11 {
namespace {

std::int64_t now_ms() { return system_clock().monotonic_ms(); }

std::chrono::steady_clock::time_point time_of(std::int64_t monotonic_ms) {
  return std::chrono::steady_clock::time_point(std::chrono::milliseconds(monotonic_ms));
}

}  // namespace

Status Engine::unlock(SecretBytes pin) {
  if (pin.empty() || pin.size() > limits::kTokenPinBytesMax)
    return fail(ErrorKind::kBadInput, "the PIN is empty or too long");
  {
    const std::lock_guard memory(pin_memory_mutex_);
    if (pin_memory_.is_refused(pin)) return fail(ErrorKind::kRefused, "the PIN was refused before");
  }
  Lock lock(mutex_);
  if (!pin_.empty() && times_ready_ > 0) {
    // Logged in once with the PIN that is kept: a second one has no use, and is not tried.
    if (!equal_constant_time(pin_.view(), pin.view()))
      return fail(ErrorKind::kRefused, "the token was unlocked with another PIN");
    if (state_ == TokenState::kReady) return {};
    return fail(ErrorKind::kUnavailable, "the token is away; the PIN is kept");
  }
  pin_ = std::move(pin);
  pin_was_refused_ = false;
  const auto serial = ++pin_serial_;
  next_attempt_ms_ = 0;
  keeper_cv_.notify_all();
  const bool tried = pin_cv_.wait_until(lock, time_of(now_ms() + limits::kTokenAdminCallMs),
                                        [&] { return stopping_ || pin_tried_serial_ >= serial; });
  if (tried && state_ == TokenState::kReady) return {};
  if (tried && pin_was_refused_) return fail(ErrorKind::kRefused, "the token refused the PIN");
  return fail(ErrorKind::kUnavailable, "the token is away; the PIN is kept");
}

void Engine::keeper_loop() {
  Lock lock(mutex_);
  while (!stopping_) {
    if (state_ == TokenState::kReady) {
      rest_while_ready(lock);
    } else if (state_ == TokenState::kLocked && pin_serial_ == pin_tried_serial_) {
      keeper_cv_.wait(lock, [&] { return stopping_ || pin_serial_ != pin_tried_serial_; });
    } else if (busy_workers(lock) > 0 || next_attempt_ms_ > now_ms()) {
      // Until no call is in the module (those given up as stuck aside) and the back-off is over.
      // Both are told by keeper_cv_; a worker that sticks now is noticed by the clock.
      const auto wake_ms = std::max(next_attempt_ms_, busy_workers(lock) > 0 ? now_ms() + 100 : 0);
      (void)keeper_cv_.wait_until(lock, time_of(wake_ms));
      if (busy_workers(lock) > 0) replace_stuck_workers(lock);
    } else {
      reconnect(lock);
    }
  }
  --live_threads_;
  keeper_cv_.notify_all();
}

void Engine::rest_while_ready(Lock& lock) {
  const auto over = [&] { return stopping_ || state_ != TokenState::kReady; };
  if (config_.quirks.health_interval_ms <= 0) {
    keeper_cv_.wait(lock, over);
    return;
  }
  const auto due_ms = last_good_ms_ + config_.quirks.health_interval_ms;
  if (keeper_cv_.wait_until(lock, time_of(due_ms), over)) return;
  if (now_ms() - last_good_ms_ >= config_.quirks.health_interval_ms) submit_health_job(lock);
}

// Nobody waits for it: its end alone (kOk or a loss) matters. Only C_Sign tells whether a token is
// there; C_GetSessionInfo and C_OpenSession say OK without one.
void Engine::submit_health_job(const Lock&) {
  last_good_ms_ = now_ms();  // the next one is due an interval later, however this one ends
  for (const auto& [label, entry] : keys_) {
    if (!entry.present || entry.changed || !entry.known->signs) continue;
    auto job = std::make_shared<Job>();
    job->key = label;
    job->priority = SignPriority::kBackground;
    job->work = [known = entry.known, quirks = config_.quirks](Session& session, Job& self) {
      const FoundKey key{known, self.key_handle};
      const auto tested = self_test(session, key, quirks, self.rv);
      if (!tested && self.rv == CKR_OK) self.rv = CKR_SIGNATURE_INVALID;
      return tested ? JobEnd::kOk : JobEnd::kLost;
    };
    if (queue_.push_back(std::move(job))) work_cv_.notify_one();
    return;
  }
}

std::size_t Engine::busy_workers(const Lock&) const {
  const auto busy = std::count_if(workers_.begin(), workers_.end(), [](const auto& worker) {
    return worker->running_since_ms != 0 && !worker->replaced;
  });
  return static_cast<std::size_t>(busy + inline_calls_);
}

void Engine::lose(const Lock&, std::string why) {
  if (state_ != TokenState::kReady) return;
  state_ = TokenState::kAway;
  detail_ = std::move(why);
  ++generation_;
  recovering_ = true;
  lost_at_ms_ = now_ms();
  // Lost again without a single signature since it came: something is wrong that a reconnection
  // does not cure. Back off instead of turning in a circle.
  const bool useless = times_ready_ > 0 && signatures_made_ == signatures_at_ready_ &&
                       now_ms() - ready_since_ms_ < 1'000;
  failures_ = useless ? failures_ + 1 : 0;
  const auto pause = useless ? limits::kTokenReconnectMsMin << std::min(failures_, 10) : 0;
  next_attempt_ms_ = now_ms() + std::min<std::int64_t>(pause, config_.quirks.reconnect_ms_max);
  keeper_cv_.notify_all();
}

void Engine::fail_waiting(const Lock& lock) {
  while (auto job = queue_.pop()) {
    job->error = Error{ErrorKind::kUnavailable, "the token is away", 0};
    complete(lock, job);
  }
}

// Outside the lock: from the gentlest step to the last, until one brings more than kAway.
Attempt Engine::climb(const SecretBytes* pin, const std::vector<std::string>& labels) {
  static constexpr Step kSteps[] = {Step::kReopen, Step::kCloseAll, Step::kReinitialize};
  Attempt attempt;
  std::shared_ptr<Module> module;
  {
    const Lock lock(mutex_);
    module = module_;
  }
  const bool first = module == nullptr;
  for (const Step step : kSteps) {
    // A module loaded just now is initialized by the first step; otherwise the board may know that
    // nothing but the last step helps.
    if (!first && config_.quirks.needs_finalize_to_recover && step != Step::kReinitialize) continue;
    attempt = connect(module, config_, step, pin, labels);
    if (attempt.state != TokenState::kAway) break;
    const Lock lock(mutex_);
    if (stopping_ || module == nullptr) break;
  }
  const Lock lock(mutex_);
  module_ = module;
  return attempt;
}

void Engine::reconnect(Lock& lock) {
  const auto pin_serial = pin_serial_;
  const bool has_pin = !pin_.empty();
  const SecretBytes pin = pin_.clone();
  std::vector<std::string> labels;
  for (const auto& [label, entry] : keys_) labels.push_back(label);
  std::vector<Session> old = std::move(idle_);
  idle_.clear();
  open_sessions_ = 0;
  climb_since_ms_ = now_ms();
  lock.unlock();
  old.clear();
  Attempt attempt = climb(has_pin ? &pin : nullptr, labels);
  if (attempt.pin_wrong) {
    const std::lock_guard memory(pin_memory_mutex_);
    // Kept in memory even if the disk refuses it; nothing better can be done here.
    (void)pin_memory_.remember(pin);
  }
  lock.lock();
  climb_since_ms_ = 0;
  adopt(lock, std::move(attempt), pin_serial);
}

void Engine::adopt(const Lock& lock, Attempt attempt, std::uint64_t pin_serial) {
  state_ = attempt.state;
  detail_ = std::move(attempt.detail);
  recovering_ = false;
  if (attempt.state == TokenState::kAway) {
    const auto pause = limits::kTokenReconnectMsMin << std::min(failures_, 10);
    next_attempt_ms_ = now_ms() + std::min<std::int64_t>(pause, config_.quirks.reconnect_ms_max);
    ++failures_;
  } else {
    mechanisms_ = std::move(attempt.mechanisms);
    slot_ = attempt.slot;
    session_cap_ = config_.quirks.max_sessions;
    idle_.push_back(std::move(attempt.session));
    open_sessions_ = 1;
  }
  if (attempt.pin_refused && pin_serial == pin_serial_) {
    pin_.wipe();
    pin_ = SecretBytes();
    pin_was_refused_ = true;
  }
  if (attempt.state == TokenState::kReady) {
    for (auto& [label, entry] : keys_) entry.present = false;
    for (const auto& key : attempt.keys) (void)adopt_key(lock, key);
    ready_since_ms_ = last_good_ms_ = now_ms();
    signatures_at_ready_ = signatures_made_;
    ++times_ready_;
    work_cv_.notify_all();
  } else {
    fail_waiting(lock);
  }
  // An attempt that had no PIN, or an older one, says nothing about the newest.
  pin_tried_serial_ = pin_serial;
  if (pin_serial_ != pin_serial) next_attempt_ms_ = 0;
  pin_cv_.notify_all();
}

}  // namespace keyward::hal::pkcs11
