// Owns the layout of the file between a test and the PKCS#11 shim, and the test's side of it. Must
// not know what the test tests.
//
// The shim (target keyward_pkcs11_shim, a PKCS#11 module) loads the module named by
// KEYWARD_SHIM_MODULE and passes every call on. If KEYWARD_SHIM_STATE names a file of this layout,
// it counts calls and obeys commands there. Both sides map the file, so that the shim may live in
// another process:
//
//   ShimControl shim(directory + "/shim");             // makes the file
//   environment: KEYWARD_SHIM_MODULE=<real module>, KEYWARD_SHIM_STATE=shim.path()
//   shim.fail(ShimCall::kSign, 3, 1, CKR_DEVICE_ERROR); // the third C_Sign from now fails, once
//   shim.stall(ShimCall::kSign);  ...  shim.resume(ShimCall::kSign);
//   shim.succeeded(ShimCall::kSign)                    // signatures the module has made so far
//
// Self-test signatures of hal/pkcs11 (one after each login or reconnection) are counted like any
// other. Threads: any, on both sides.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace keyward::test {

enum class ShimCall : std::uint32_t {
  kInitialize,
  kFinalize,
  kGetSlotList,
  kOpenSession,
  kCloseSession,
  kLogin,
  kFindObjectsInit,
  kGetAttributeValue,
  kSignInit,
  kSign,
  kGenerateKeyPair,
  kGenerateRandom,
  kCount,
};

struct ShimCallState {
  std::atomic<std::uint64_t> calls;       // entered
  std::atomic<std::uint64_t> succeeded;   // the real module answered CKR_OK, and so did the shim
  std::atomic<std::uint64_t> fail_from;   // calls from this number (1 is the first ever) fail ...
  std::atomic<std::uint64_t> fail_until;  // ... up to and including this one; 0: none
  std::atomic<std::uint64_t> fail_rv;     // with this CK_RV; the real module is not called
  std::atomic<std::uint32_t> stalled;     // futex: not 0 holds callers before the real call
  std::atomic<std::uint32_t> waiting;     // callers held now
  std::atomic<std::uint32_t> corrupt;     // C_Sign: so many coming signatures get a bit flipped
  std::atomic<std::uint32_t> inside;      // calls now between entry and exit, held ones included
  std::atomic<std::uint32_t> inside_max;  // the most there ever were
};

struct ShimState {
  static constexpr std::uint64_t kMagic = 0x6b65797770313101;
  std::uint64_t magic;
  ShimCallState call[static_cast<std::size_t>(ShimCall::kCount)];
  std::atomic<std::uint32_t>
      close_all;  // the next C_SignInit closes all sessions of its token first
  // The first octet of what each successful C_Sign was given, by order; the last kSignedKept.
  static constexpr std::size_t kSignedKept = 1024;
  std::atomic<std::uint64_t> signed_count;
  std::atomic<std::uint8_t> signed_first[kSignedKept];
};

class ShimControl {
 public:
  explicit ShimControl(std::string path);  // makes the file anew; ends the program if it cannot
  ~ShimControl();
  ShimControl(const ShimControl&) = delete;
  ShimControl& operator=(const ShimControl&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t calls(ShimCall call) const { return at(call).calls.load(); }
  std::uint64_t succeeded(ShimCall call) const { return at(call).succeeded.load(); }
  // The first octet of what the nth signature so far (0 is the first ever) was made over.
  std::uint8_t signed_octet(std::uint64_t nth) const {
    return state_->signed_first[nth % ShimState::kSignedKept].load();
  }
  std::uint32_t waiting(ShimCall call) const { return at(call).waiting.load(); }
  std::uint32_t inside_max(ShimCall call) const { return at(call).inside_max.load(); }

  // The nth call from now (1 is the next) and `count - 1` after it answer `rv`.
  void fail(ShimCall call, std::uint64_t nth, std::uint64_t count, std::uint64_t rv);
  void heal(ShimCall call);
  void stall(ShimCall call);
  void resume(ShimCall call);
  void corrupt_signatures(std::uint32_t count);
  // All sessions of the token end behind the back of their owner (which logs out, too).
  void close_sessions();
  bool sessions_closed() const;  // the command was carried out

 private:
  ShimCallState& at(ShimCall call) const { return state_->call[static_cast<std::size_t>(call)]; }
  std::string path_;
  ShimState* state_ = nullptr;
};

}  // namespace keyward::test
