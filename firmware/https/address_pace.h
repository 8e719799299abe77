// Owns how fast one client address may do one kind of thing: a token bucket for each. Must not know
// sockets, HTTP or what the thing is.
//
// A bucket is one number, the time at which it would be full again (GCRA). Bounded: beyond
// limits::kHttpPacesMax addresses the one that was quiet longest is forgotten, that is, its bucket
// is full. Threads: any.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <unordered_map>

struct sockaddr;

namespace keyward::https {

// What one subscriber holds: an IPv4 address (also inside IPv6), or the first 64 bits of an IPv6
// address. 0: neither.
using AddressKey = std::uint64_t;
AddressKey address_key(const sockaddr* address);

class AddressPace {
 public:
  AddressPace(std::int64_t per_s, std::int64_t burst);  // per_s 0: no limit
  AddressPace(const AddressPace&) = delete;
  AddressPace& operator=(const AddressPace&) = delete;

  // Takes one token, which is good after so many milliseconds; 0: now. Above `wait_max_ms`: nothing
  // was taken.
  std::int64_t take(AddressKey address, std::int64_t now_ms, std::int64_t wait_max_ms);
  std::size_t size() const;

 private:
  struct Bucket {
    AddressKey address;
    std::int64_t full_at_us;
  };
  using Order = std::list<Bucket>;  // most recently used first

  const std::int64_t cost_us_;
  const std::int64_t depth_us_;
  mutable std::mutex mutex_;
  Order order_;
  std::unordered_map<AddressKey, Order::iterator> by_address_;
};

}  // namespace keyward::https
