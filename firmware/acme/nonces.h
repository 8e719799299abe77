// Owns replay nonces (RFC 8555 §6.5): issuing and consuming, without memory per nonce but one bit.
// Must not know HTTP or JWS.
//
// A nonce is base64url(life(4) || sequence(8) || HMAC-SHA256(key, label || life ||
// sequence)[0..16)). The key and the number of the present life stand in a file; the nonces used
// never touch the disk.
//   within a life    each nonce is accepted exactly once, as long as fewer than about
//                    limits::kNonceWindow later ones have been issued; no clock is needed;
//   over a restart   a nonce of the life before is accepted once in this life, for
//                    limits::kNonceEarlierLifeMs after the start, and only where the caller says
//                    that repeating the request is harmless: whether it was used before is not
//                    known;
//   older lives      never.
// Decision record: docs/adr (nonces). Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/clock.h"
#include "hal/base/result.h"

namespace keyward::acme {

enum class NonceVerdict : std::uint8_t {
  kGood,
  kMalformed,  // not base64url: RFC 8555 §6.5.2 wants "malformed"
  kBad,        // forged, used, or too old: "badNonce"
};

class Nonces {
 public:
  // Reads or makes `path` and begins a new life. A damaged file is replaced: old nonces are then
  // bad. Errors: kUnavailable, kInternal of the file.
  static Result<std::unique_ptr<Nonces>> open(const std::string& path, const Clock& clock);

  std::string issue();
  NonceVerdict consume(std::string_view nonce, bool repeat_is_harmless);

  // `window` in nonces, a multiple of 64; for tests smaller than the limit.
  Nonces(SecretBytes key, std::uint32_t life, const Clock& clock, std::size_t window);

 private:
  static constexpr std::size_t kTagBytes = 16;
  static constexpr std::size_t kHeadBytes = 12;
  using Tag = std::array<std::uint8_t, kTagBytes>;
  Tag tag_of(ByteView head) const;
  NonceVerdict consume_present(std::uint64_t sequence);
  NonceVerdict consume_earlier(std::uint64_t sequence);

  const SecretBytes key_;
  const std::uint32_t life_;
  const Clock& clock_;
  const std::int64_t started_ms_;
  std::mutex mutex_;
  std::uint64_t next_ = 0;           // sequence of the next nonce
  std::vector<std::uint64_t> used_;  // ring of bits by sequence
  std::unordered_set<std::uint64_t> used_earlier_;
};

}  // namespace keyward::acme
