// Owns serial numbers: random, positive, never twice (RFC 5280 §4.1.2.2: at most 20 octets). Must
// not know certificates. 16 octets, 126 random bits from the kernel; the first octet is 0x40..0x7f,
// so that the encoding is positive, minimal and always of one length. Threads: any.
#pragma once

#include <mutex>
#include <unordered_set>

#include "hal/base/bytes.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"

namespace keyward::issue {

class Serials {
 public:
  static constexpr std::size_t kSerialBytes = 16;
  explicit Serials(std::size_t serials_max = limits::kSerialsMax) : serials_max_(serials_max) {}

  void note(ByteView serial);  // of the ledger, at start
  // Never one that was noted or given before. kExhausted: the memory is full; kInternal: the
  // generator repeats.
  Result<Bytes> next();

  // 64 of the random bits, never the same for two serials of this memory: a clash costs another
  // try.
  static std::uint64_t key_of(ByteView serial);

 private:
  std::size_t serials_max_;
  std::mutex mutex_;
  std::unordered_set<std::uint64_t> used_;
};

}  // namespace keyward::issue
