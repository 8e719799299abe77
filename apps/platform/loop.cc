// Unsealing for the signer and the watch over the TPM: see loop.h.
#include "apps/platform/loop.h"

#include <chrono>

#include "firmware/log/log.h"

namespace keyward::platform {
namespace {

std::string_view code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUnavailable:
    case ErrorKind::kExhausted:
      return "tpm-away";
    case ErrorKind::kRefused:
      return "pin-refused";
    case ErrorKind::kBadInput:
      return "pin-unusable";
    default:
      return "tpm-failed";
  }
}

}  // namespace

Result<SecretBytes> Loop::unseal_locked() {
  auto pin = pin_.unseal();
  if (pin || pin.error().kind != ErrorKind::kUnavailable) return pin;
  // The TPM may have been reset since the last command: that costs the first command after it.
  return pin_.unseal();
}

task::Answer<wire::PinUnsealReply> Loop::unseal() {
  const std::lock_guard lock(tpm_lock_);
  auto pin = unseal_locked();
  if (pin) {
    away_.clear();
    locked_.clear();
    publish();
    log::info("the HSM's PIN was unsealed for the signer");
    return wire::PinUnsealReply{to_bytes(pin->view())};
  }
  const Error& error = pin.error();
  log::error("the HSM's PIN was not unsealed", error);
  (code_of(error.kind) == "tpm-away" ? away_ : locked_) = error.what;
  publish();
  return tl::unexpected<wire::Failure>(wire::failure_from(error, code_of(error.kind)));
}

void Loop::publish() {
  const std::string state = !away_.empty()     ? "degraded"
                            : !locked_.empty() ? "locked"
                                               : "operational";
  const std::string detail = !away_.empty()     ? "the TPM is away: " + away_
                             : !locked_.empty() ? "the HSM's PIN stays sealed: " + locked_
                                                : "the TPM answers";
  const std::string all = state + "\n" + detail;
  if (published_once_ && all == published_) return;
  published_once_ = true;
  published_ = all;
  report_(state, detail);
}

void Loop::probe() {
  const std::lock_guard lock(tpm_lock_);
  auto answer = tpm_.random(1);
  if (!answer && answer.error().kind == ErrorKind::kUnavailable) answer = tpm_.random(1);
  away_ = answer ? "" : answer.error().what;
  publish();
}

void Loop::watch(std::int64_t interval_ms) {
  probe();
  watch_thread_ = std::thread([this, interval_ms] {
    std::unique_lock lock(watch_lock_);
    const auto interval = std::chrono::milliseconds(interval_ms);
    while (!watch_wake_.wait_for(lock, interval, [this] { return watch_ends_; })) {
      lock.unlock();
      probe();
      lock.lock();
    }
  });
}

void Loop::stop_watching() {
  {
    const std::lock_guard lock(watch_lock_);
    watch_ends_ = true;
  }
  watch_wake_.notify_all();
  if (watch_thread_.joinable()) watch_thread_.join();
}

void Loop::stop() {
  stop_watching();
  const std::lock_guard lock(tpm_lock_);
  if (const auto shut = tpm_.shutdown_orderly(); !shut)
    log::error("the TPM was not shut down", shut.error());
}

}  // namespace keyward::platform
