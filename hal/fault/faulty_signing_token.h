// Owns a decorator that makes any SigningToken fail its nth call, stall, or answer wrongly. Test
// builds only; must not be linked into a task. Threads: any.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "hal/signing_token.h"

namespace keyward::hal::fault {

enum class TokenCall : std::uint8_t {
  kUnlock = 0,
  kFindKey = 1,
  kGenerateKey = 2,
  kSign = 3,
  kRandom = 4
};

class FaultySigningToken : public SigningToken {
 public:
  explicit FaultySigningToken(SigningToken& behind) : behind_(behind) {}  // outlives this

  // The nth call from now (1 is the next) answers `error`; with `after`, the call behind is made
  // first and its answer lost: a signature exists that the caller never sees.
  void fail_nth(TokenCall call, int nth, Error error, bool after = false);
  // Calls hang until release() or, for sign(), its deadline (then kUnavailable).
  void stall(TokenCall call);
  void release(TokenCall call);
  void corrupt_next_signature();  // one bit flipped in the answer
  int calls(TokenCall call) const;
  int stalled(TokenCall call) const;  // callers that hang now

  Status unlock(SecretBytes pin) override;
  Result<TokenKey> find_key(std::string_view label) override;
  Result<TokenKey> generate_key(std::string_view label, KeyAlgorithm algorithm) override;
  Result<Bytes> sign(std::string_view label, ByteView message, Deadline deadline,
                     SignPriority priority) override;
  Result<TokenKey> generate_agreement_key(std::string_view label) override {
    return behind_.generate_agreement_key(label);
  }
  Result<SecretBytes> agree(std::string_view label, ByteView point, Deadline deadline) override {
    return behind_.agree(label, point, deadline);
  }
  Result<Bytes> random(std::size_t size_bytes) override;
  bool supports(KeyAlgorithm algorithm) override { return behind_.supports(algorithm); }
  TokenStatus status() override { return behind_.status(); }

 private:
  struct Plan {
    int calls = 0;
    int fail_at = 0;  // number of the call; 0: none
    Error error;
    bool after = false;
    bool stall = false;
    int stalled = 0;
  };
  Plan& plan(TokenCall call) { return plans_[static_cast<std::size_t>(call)]; }
  const Plan& plan(TokenCall call) const { return plans_[static_cast<std::size_t>(call)]; }
  template <class T, class F>
  Result<T> pass(TokenCall call, const Deadline* deadline, F&& real);

  SigningToken& behind_;
  mutable std::mutex mutex_;
  std::condition_variable released_;
  std::array<Plan, 5> plans_;
  bool corrupt_next_ = false;
};

}  // namespace keyward::hal::fault
