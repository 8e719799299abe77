// Owns the hashing of digests and random ids in hash tables: they are random octets already.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace keyward::issue {

struct RandomOctetsHash {
  template <std::size_t N>
  std::size_t operator()(const std::array<std::uint8_t, N>& octets) const {
    static_assert(N >= sizeof(std::size_t));
    std::size_t out = 0;
    std::memcpy(&out, octets.data(), sizeof out);
    return out;
  }
};

}  // namespace keyward::issue
