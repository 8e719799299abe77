#include "firmware/metrics/measured_token.h"

#include <chrono>

#include "firmware/metrics/metrics.h"

namespace keyward::metrics {
namespace {

std::string_view name_of(hal::SignPriority priority) {
  switch (priority) {
    case hal::SignPriority::kUrgent:
      return "urgent";
    case hal::SignPriority::kIssuance:
      return "issuance";
    case hal::SignPriority::kBackground:
      return "background";
  }
  return "other";
}

}  // namespace

// One call that waits for the token or is in it. Two ends at once may leave the gauge one off until
// the next call: the order of the two stores is not worth a lock on the path of every signature.
class MeasuredToken::Call {
 public:
  explicit Call(MeasuredToken& token) : calls_(token.calls_) { tell(calls_.fetch_add(1) + 1); }
  ~Call() { tell(calls_.fetch_sub(1) - 1); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void ended(const Error* error) const {
    if (error == nullptr) return;
    count("keyward_signer_hsm_failures_total", {{"kind", to_string(error->kind)}});
  }
  std::uint64_t elapsed_us() const {
    const auto elapsed = std::chrono::steady_clock::now() - begun_;
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count());
  }

 private:
  static void tell(std::int64_t calls) { set("keyward_signer_hsm_calls", {}, calls); }
  std::atomic<std::int64_t>& calls_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

Result<Bytes> MeasuredToken::sign(std::string_view label, ByteView message, Deadline deadline,
                                  hal::SignPriority priority) {
  const Call call(*this);
  auto signature = behind_.sign(label, message, deadline, priority);
  observe("keyward_signer_hsm_sign_duration_seconds", {{"priority", name_of(priority)}},
          call.elapsed_us());
  call.ended(signature ? nullptr : &signature.error());
  return signature;
}

Result<SecretBytes> MeasuredToken::agree(std::string_view label, ByteView peer_point,
                                         Deadline deadline) {
  const Call call(*this);
  auto secret = behind_.agree(label, peer_point, deadline);
  call.ended(secret ? nullptr : &secret.error());
  return secret;
}

}  // namespace keyward::metrics
