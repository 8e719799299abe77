#include "apps/signer/loop.h"

#include <algorithm>
#include <chrono>

#include "apps/signer/audit.h"
#include "firmware/log/log.h"
#include "firmware/wire/messages/pin_unseal.h"
#include "firmware/wire/messages/time_get.h"

namespace keyward::signer {
namespace {

constexpr std::int64_t kTickMs = 200;
constexpr std::int64_t kPinWaitMsMin = 200;  // platform starts beside us
constexpr std::int64_t kPinWaitMsMax = 10'000;
constexpr std::int64_t kPinCallMs = 30'000;  // a TPM that was just started
constexpr std::int64_t kTimeCallMs = 2'000;
constexpr int kExitLedger = 1;
constexpr int kExitStuck = 1;

}  // namespace

void InFlight::change(int by) {
  {
    const std::lock_guard lock(mutex_);
    count_ += by;
  }
  changed_.notify_all();
}

bool InFlight::drained_within(std::int64_t ms) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return count_ == 0; });
}

void KeyKeeper::start() {
  thread_ = std::thread([this] { run(); });
}

void KeyKeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool KeyKeeper::wait(std::int64_t ms) {
  std::unique_lock lock(mutex_);
  return !stop_changed_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return stopping_; });
}

void KeyKeeper::run() {
  Report last;
  do {
    const Report now = tick();
    if (now == last) continue;
    log::info("state", {{"state", now.state}, {"detail", now.detail}});
    task_.report_state(now.state, now.detail);
    last = now;
  } while (wait(kTickMs));
}

KeyKeeper::Report KeyKeeper::tick() {
  if (gate_.ledger().broken()) {
    log::error("the ledger is broken: ending, so that the next start reads what the disk holds");
    task::Task::exit(kExitLedger);
  }
  const auto status = token_.status();
  figures_.take(status);
  leave_if_stuck(status);
  ask_for_time();
  if (!pin_given_ || status.state == hal::TokenState::kLocked) return ask_for_pin();
  if (status.state != hal::TokenState::kReady)
    return {"degraded", "the HSM is away: " + status.detail};
  if (!key_taken_) {
    if (auto report = take_key(); !key_taken_) return report;
  }
  if (const auto why_not = gate_.why_not_issuing(); !why_not.empty()) return {"degraded", why_not};
  if (const auto why_not = gate_.time_guard().why_not(gate_.ledger().last_time_ms());
      !why_not.empty())
    return {"degraded", why_not};
  if (const auto trouble = audit_.trouble(); !trouble.empty())
    return {"degraded", issuing_words() + "; " + trouble};
  return {"operational", issuing_words()};
}

// Calls that never return hold the module: C_Finalize must not run beside them, so nothing in this
// process brings the token back. The supervisor starts a new one; nothing under way is lost by it.
void KeyKeeper::leave_if_stuck(const hal::TokenStatus& status) const {
  if (stuck_exit_ms_ == 0 || status.stuck_ms < stuck_exit_ms_) return;
  log::error("calls are stuck in the HSM's module: ending, so that a new process begins anew",
             {{"stuck_ms", status.stuck_ms}, {"detail", status.detail}});
  task::Task::exit(kExitStuck);
}

void KeyKeeper::ask_for_time() {
  auto& guard = gate_.time_guard();
  const auto now_ms = system_clock().monotonic_ms();
  if (now_ms < next_time_ms_ || !guard.wants_level()) return;
  const auto floor_ms = static_cast<std::uint64_t>(gate_.ledger().last_time_ms());
  const auto reply = task_.peer(wire::TaskId::kPlatform).call(wire::TimeGet{floor_ms}, kTimeCallMs);
  next_time_ms_ = now_ms + limits::kTimePollMs;
  const auto top = static_cast<std::uint64_t>(hal::TimeLevel::kSynchronised);
  if (!reply || reply->level > top) {
    guard.note(hal::TimeLevel::kNone, system_clock().utc_ms(), "the platform does not answer");
    return;
  }
  guard.note(static_cast<hal::TimeLevel>(reply->level), static_cast<std::int64_t>(reply->utc_ms),
             reply->detail);
}

// Asks with a growing pause. A PIN that the token refused once is never sent again by the HAL, so
// asking on costs no try of the token's, and a newly sealed PIN is found.
KeyKeeper::Report KeyKeeper::ask_for_pin() {
  const auto now_ms = system_clock().monotonic_ms();
  if (now_ms >= next_pin_ms_) {
    pin_wait_ms_ = std::clamp(pin_wait_ms_ * 2, kPinWaitMsMin, kPinWaitMsMax);
    auto reply = task_.peer(wire::TaskId::kPlatform).call(wire::PinUnseal{}, kPinCallMs);
    next_pin_ms_ = system_clock().monotonic_ms() + pin_wait_ms_;
    if (!reply) return {"locked", "no PIN from platform: " + reply.error().code};
    SecretBytes pin(reply->pin);
    std::fill(reply->pin.begin(), reply->pin.end(), std::uint8_t{0});
    const auto unlocked = token_.unlock(std::move(pin));
    pin_given_ = unlocked.has_value() || unlocked.error().kind == ErrorKind::kUnavailable;
    if (!pin_given_)
      return {"locked", std::string("the token does not take the PIN: ") + unlocked.error().what};
    pin_wait_ms_ = 0;
  }
  return pin_given_ ? Report{"degraded", "logging in"} : Report{"locked", "waiting for the PIN"};
}

KeyKeeper::Report KeyKeeper::take_key() {
  const auto key = token_.find_key(key_label_);
  if (!key) return {"degraded", std::string("the CA key is not usable: ") + key.error().what};
  if (const auto checked = issue::check_token_key(gate_.issuer(), *key, origin_); !checked) {
    return {"degraded", std::string("the CA key is refused: ") + checked.error().what};
  }
  if (const auto why_not = audit_.why_not(); !why_not.empty()) return {"degraded", why_not};
  if (audit_.take_accepted_loss()) gate_.crl().skip_numbers();
  key_taken_ = true;
  gate_.set_key_ready(true);
  return {"operational", issuing_words()};
}

std::string KeyKeeper::issuing_words() const {
  return (origin_ == issue::KeyOrigin::kTest ? "issues with the TEST key " : "issues with key ") +
         key_label_ + audit_.words();
}

void CrlKeeper::start() {
  if (const auto& off = gate_.crl().off(); !off.empty()) {
    log::warning(off);
    return;
  }
  thread_ = std::thread([this] { run(); });
}

void CrlKeeper::end() {
  ending_ = true;
  gate_.crl().wake();
}

void CrlKeeper::join() {
  if (thread_.joinable()) thread_.join();
}

void CrlKeeper::run() {
  std::string last_code;
  while (!ending_) {
    if (!gate_.crl().wait_until_due(limits::kCrlRetryMs) || ending_) continue;
    const auto made = in_flight_.run([&] { return gate_.crl().make_due(); });
    if (made) {
      if (*made)
        log::info("a revocation list was made",
                  {{"number", (*made)->number}, {"list", (*made)->list}});
      last_code.clear();
      continue;
    }
    // Once for each cause: an HSM may be away for days.
    if (made.error().code != last_code)
      log::warning("no new revocation list: the old one stays", {{"code", made.error().code}});
    last_code = made.error().code;
    gate_.crl().pause(limits::kCrlRetryMs);
  }
}

}  // namespace keyward::signer
