// Owns the figures of a token's signatures: how long callers waited, how many are waiting, how many
// got none. A decorator, so that neither the HAL nor those who sign know of metrics. Must not
// change what is asked or answered. Threads: any.
#pragma once

#include <atomic>

#include "hal/signing_token.h"

namespace keyward::metrics {

class MeasuredToken final : public hal::SigningToken {
 public:
  explicit MeasuredToken(hal::SigningToken& behind) : behind_(behind) {}  // outlives this

  Status unlock(SecretBytes pin) override { return behind_.unlock(std::move(pin)); }
  Result<hal::TokenKey> find_key(std::string_view label) override {
    return behind_.find_key(label);
  }
  Result<hal::TokenKey> generate_key(std::string_view label, hal::KeyAlgorithm algorithm) override {
    return behind_.generate_key(label, algorithm);
  }
  Result<Bytes> sign(std::string_view label, ByteView message, Deadline deadline,
                     hal::SignPriority priority) override;
  Result<hal::TokenKey> generate_agreement_key(std::string_view label) override {
    return behind_.generate_agreement_key(label);
  }
  Result<SecretBytes> agree(std::string_view label, ByteView peer_point,
                            Deadline deadline) override;
  Result<Bytes> random(std::size_t size_bytes) override { return behind_.random(size_bytes); }
  bool supports(hal::KeyAlgorithm algorithm) override { return behind_.supports(algorithm); }
  hal::TokenStatus status() override { return behind_.status(); }

 private:
  class Call;
  hal::SigningToken& behind_;
  std::atomic<std::int64_t> calls_ = 0;
};

}  // namespace keyward::metrics
