// Owns one loaded PKCS#11 module: dlopen, C_Initialize, C_Finalize. Must not know slots or tokens.
//
// A module's state is one per process: users of the same path share one Module; the last to leave
// finalizes it. Never dlclosed: modules leave thread keys and at-exit handlers behind.
// Threads: any. Every use of api() after initialize() stands under enter(), so that C_Finalize
// never runs beside another call (a crash in every module tried).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include <p11-kit/pkcs11.h>

#include "hal/base/clock.h"
#include "hal/base/result.h"

namespace keyward::hal::pkcs11 {

class Module {
 public:
  // kUnavailable: not there, or not a PKCS#11 module. The text of dlerror goes to `detail`.
  static Result<std::shared_ptr<Module>> load(const std::string& path, std::string& detail);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  using Entry = std::shared_lock<std::shared_timed_mutex>;
  Entry enter() { return Entry(gate_); }

  CK_RV initialize();  // CKR_OK also when it is so already; waits for calls inside to leave
  // C_Finalize; false if calls are still inside when the deadline passes.
  bool finalize(Deadline deadline);

  CK_FUNCTION_LIST& api() { return *api_; }

  // Grows with each C_Finalize. Session and object handles of an older epoch may have been given
  // out again since: they must never be used, not even to close them. Read under enter().
  std::uint64_t epoch() const { return epoch_; }
  bool is_initialized() const { return initialized_; }

 private:
  explicit Module(CK_FUNCTION_LIST* api) : api_(api) {}
  CK_FUNCTION_LIST* api_;
  std::shared_timed_mutex gate_;
  bool initialized_ = false;  // under gate_, exclusively
  std::uint64_t epoch_ = 1;   // under gate_
};

}  // namespace keyward::hal::pkcs11
