// Owns a decorator that makes any SigningToken fail, stall, or answer wrongly. Test builds only.
#include "hal/fault/faulty_signing_token.h"

#include <chrono>

namespace keyward::hal::fault {

void FaultySigningToken::fail_nth(TokenCall call, int nth, Error error, bool after) {
  const std::lock_guard lock(mutex_);
  auto& p = plan(call);
  p.fail_at = p.calls + nth;
  p.error = error;
  p.after = after;
}

void FaultySigningToken::stall(TokenCall call) {
  const std::lock_guard lock(mutex_);
  plan(call).stall = true;
}

void FaultySigningToken::release(TokenCall call) {
  const std::lock_guard lock(mutex_);
  plan(call).stall = false;
  released_.notify_all();
}

void FaultySigningToken::corrupt_next_signature() {
  const std::lock_guard lock(mutex_);
  corrupt_next_ = true;
}

int FaultySigningToken::calls(TokenCall call) const {
  const std::lock_guard lock(mutex_);
  return plan(call).calls;
}

int FaultySigningToken::stalled(TokenCall call) const {
  const std::lock_guard lock(mutex_);
  return plan(call).stalled;
}

template <class T, class F>
Result<T> FaultySigningToken::pass(TokenCall call, const Deadline* deadline, F&& real) {
  std::unique_lock lock(mutex_);
  auto& p = plan(call);
  const bool fails = ++p.calls == p.fail_at;
  const Error error = p.error;
  const bool after = p.after;
  if (p.stall) {
    ++p.stalled;
    const auto over = [&] { return !p.stall; };
    bool released = true;
    if (deadline == nullptr) {
      released_.wait(lock, over);
    } else {
      using Time = std::chrono::steady_clock::time_point;
      released =
          released_.wait_until(lock, Time(std::chrono::milliseconds(deadline->monotonic_ms)), over);
    }
    --p.stalled;
    if (!released) return fail(ErrorKind::kUnavailable, "the deadline passed inside the token");
  }
  lock.unlock();
  if (fails && !after) return fail(error);
  Result<T> result = real();
  if (fails) return fail(error);
  return result;
}

Status FaultySigningToken::unlock(SecretBytes pin) {
  return pass<void>(TokenCall::kUnlock, nullptr, [&] { return behind_.unlock(std::move(pin)); });
}

Result<TokenKey> FaultySigningToken::find_key(std::string_view label) {
  return pass<TokenKey>(TokenCall::kFindKey, nullptr, [&] { return behind_.find_key(label); });
}

Result<TokenKey> FaultySigningToken::generate_key(std::string_view label, KeyAlgorithm algorithm) {
  return pass<TokenKey>(TokenCall::kGenerateKey, nullptr,
                        [&] { return behind_.generate_key(label, algorithm); });
}

Result<Bytes> FaultySigningToken::sign(std::string_view label, ByteView message, Deadline deadline,
                                       SignPriority priority) {
  auto signature = pass<Bytes>(TokenCall::kSign, &deadline,
                               [&] { return behind_.sign(label, message, deadline, priority); });
  const std::lock_guard lock(mutex_);
  if (signature && corrupt_next_) {
    signature->back() ^= 0x01;
    corrupt_next_ = false;
  }
  return signature;
}

Result<Bytes> FaultySigningToken::random(std::size_t size_bytes) {
  return pass<Bytes>(TokenCall::kRandom, nullptr, [&] { return behind_.random(size_bytes); });
}

}  // namespace keyward::hal::fault
