// Owns the platform task's watch over what comes from outside its edges: a PIN that an operator hands
// over (firmware/recovery), and the tamper input. Must not know PKCS#11 or a network.
//
// A tampered unit stays so over restarts (a file in the task's own folder) until an operator hands the
// PIN over anew. Looks every 250 ms, in a thread of its own.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "apps/platform/loop.h"
#include "firmware/recovery/hand_over.h"
#include "hal/tamper.h"

namespace keyward::platform {

enum class TamperPolicy : std::uint8_t { kIgnore = 1, kLock = 2, kZeroise = 3 };
Result<TamperPolicy> tamper_policy_from(std::string_view text);  // kBadInput

struct GuardConfig {
  std::string state_dir;
  std::string sealed_pin;  // destroyed by TamperPolicy::kZeroise
  TamperPolicy on_tamper = TamperPolicy::kLock;
};

class Guard {
 public:
  // `loop` outlives it; `tamper` too, null: the board has none.
  Guard(Loop& loop, GuardConfig config, hal::Tamper* tamper)
      : loop_(loop), config_(std::move(config)), tamper_(tamper) {}
  ~Guard() { stop(); }
  void start();
  void stop();

 private:
  void run();
  void look_at_tamper();
  void look_at_desk();
  void react();
  std::string latch() const { return config_.state_dir + "/tampered"; }

  Loop& loop_;
  GuardConfig config_;
  hal::Tamper* tamper_;
  std::optional<recovery::HandOverDesk> desk_;
  bool active_ = false;  // the input, when it was read last
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace keyward::platform
