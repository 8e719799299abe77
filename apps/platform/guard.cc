// Hand-over of a PIN and the tamper input: see guard.h.
#include "apps/platform/guard.h"

#include <chrono>

#include <unistd.h>

#include "firmware/log/log.h"
#include "hal/base/file.h"

namespace keyward::platform {
namespace {

constexpr std::chrono::milliseconds kLook(250);
constexpr const char* kTamperedWords =
    "the tamper input was active: look at the unit, then keywardctl unlock";

}  // namespace

Result<TamperPolicy> tamper_policy_from(std::string_view text) {
  if (text == "ignore") return TamperPolicy::kIgnore;
  if (text == "lock") return TamperPolicy::kLock;
  if (text == "zeroise") return TamperPolicy::kZeroise;
  return fail(ErrorKind::kBadInput, "no such policy");
}

void Guard::start() {
  if (file_exists(config_.state_dir + "/zeroised")) {
    loop_.trip("unprovisioned", "this unit was zeroised: restore a backup or hold a ceremony");
    return;
  }
  // Before the first PIN can be asked for.
  if (config_.on_tamper != TamperPolicy::kIgnore && file_exists(latch()))
    loop_.trip("tampered", kTamperedWords);
  look_at_tamper();
  auto desk = recovery::HandOverDesk::open(config_.state_dir);
  if (desk) desk_.emplace(std::move(*desk));
  if (!desk) log::error("no PIN can be handed over to this task", desk.error());
  thread_ = std::thread([this] { run(); });
}

void Guard::stop() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  if (desk_) desk_->close();
}

void Guard::run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kLook, [this] { return ends_; })) {
    lock.unlock();
    look_at_tamper();
    look_at_desk();
    lock.lock();
  }
}

void Guard::look_at_tamper() {
  if (tamper_ == nullptr || config_.on_tamper == TamperPolicy::kIgnore) return;
  const auto tripped = tamper_->tripped();
  if (!tripped) {
    loop_.alarm(std::string("the tamper input cannot be read: ") + tripped.error().what);
    return;
  }
  loop_.alarm("");
  if (*tripped && !active_) react();
  active_ = *tripped;
}

// What must be gone goes before anybody is told.
void Guard::react() {
  log::error("the tamper input is active",
             {{"policy", config_.on_tamper == TamperPolicy::kZeroise ? "zeroise" : "lock"}});
  if (const auto kept = replace_file(latch(), view_of("tampered\n"), 0600); !kept)
    log::error("the lock by tampering will not outlive a restart", kept.error());
  if (config_.on_tamper == TamperPolicy::kLock) return loop_.trip("tampered", kTamperedWords);
  if (::unlink(config_.sealed_pin.c_str()) != 0 && errno != ENOENT)
    log::error("the sealed PIN was not removed here: the supervisor does it");
  static_cast<void>(sync_directory(config_.state_dir));
  loop_.trip("zeroise", "the tamper input was active: everything secret is destroyed");
}

void Guard::look_at_desk() {
  if (!desk_) return;
  const auto pin = desk_->take();
  if (!pin) return;
  if (active_) {
    desk_->answer("tampered", "the tamper input is still active: close the unit first");
    return;
  }
  const auto sealed = loop_.take_pin(*pin);
  if (sealed) {
    ::unlink(latch().c_str());
    static_cast<void>(sync_directory(config_.state_dir));
    log::info("an operator handed over the PIN: sealed under the PCRs of now");
    desk_->answer("sealed", "");
    return;
  }
  log::error("the PIN that an operator handed over was not sealed", sealed.error());
  desk_->answer("not-sealed", sealed.error().what);
}

}  // namespace keyward::platform
