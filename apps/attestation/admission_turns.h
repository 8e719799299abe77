// Owns the thread that looks at the credentials file and tells the signer what changed. Must not
// know what a credential is.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace keyward::attestation {

class AdmissionTurns {
 public:
  explicit AdmissionTurns(std::function<void()> turn);
  ~AdmissionTurns();
  AdmissionTurns(const AdmissionTurns&) = delete;
  AdmissionTurns& operator=(const AdmissionTurns&) = delete;

 private:
  void run();
  std::function<void()> turn_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace keyward::attestation
