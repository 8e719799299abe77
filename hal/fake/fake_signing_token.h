// Owns a signing token in memory, for tests of what stands above the HAL: software keys, and a
// state that the test sets. Test builds only; must not be linked into a task. Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "hal/signing_token.h"

struct evp_pkey_st;

namespace keyward::hal::fake {

class FakeSigningToken : public SigningToken {
 public:
  explicit FakeSigningToken(std::string_view pin = "1234");
  ~FakeSigningToken() override;

  Status unlock(SecretBytes pin) override;
  Result<TokenKey> find_key(std::string_view label) override;
  Result<TokenKey> generate_key(std::string_view label, KeyAlgorithm algorithm) override;
  Result<Bytes> sign(std::string_view label, ByteView message, Deadline deadline,
                     SignPriority priority) override;
  Result<Bytes> random(std::size_t size_bytes) override;  // deterministic: a counter, hashed
  bool supports(KeyAlgorithm algorithm) override;
  TokenStatus status() override;

  // The test's side.
  void take_away();   // every call answers kUnavailable
  void bring_back();  // unlocked as before
  void refuse_algorithm(KeyAlgorithm algorithm);
  // Changes what find_key() says of a key, to test who refuses it (extractable, not local, ...).
  void set_facts(const TokenKey& facts);

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  struct Key {
    TokenKey facts;
    std::unique_ptr<evp_pkey_st, Free> pair;
  };
  Status usable() const;

  mutable std::mutex mutex_;
  std::string pin_;
  bool away_ = false;
  bool unlocked_ = false;
  std::map<std::string, Key, std::less<>> keys_;
  std::set<KeyAlgorithm> refused_;
  std::set<std::string> refused_pins_;
  std::int64_t reconnects_ = 0;
  std::uint64_t signatures_made_ = 0;
  std::uint64_t random_counter_ = 0;
};

}  // namespace keyward::hal::fake
