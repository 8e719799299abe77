// Owns the loop and its end. Must not know what a turn does.
#include "apps/attestation/admission_turns.h"

#include <chrono>

#include "hal/base/limits.h"

namespace keyward::attestation {

AdmissionTurns::AdmissionTurns(std::function<void()> turn)
    : turn_(std::move(turn)), thread_([this] { run(); }) {}

AdmissionTurns::~AdmissionTurns() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void AdmissionTurns::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    turn_();
    lock.lock();
    wake_.wait_for(lock, std::chrono::milliseconds(limits::kEabPollMs), [this] { return stop_; });
  }
}

}  // namespace keyward::attestation
