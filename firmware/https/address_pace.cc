// Owns the token buckets of addresses. Must not know sockets or HTTP.
#include "firmware/https/address_pace.h"

#include <algorithm>

#include <netinet/in.h>
#include <sys/socket.h>

#include "hal/base/limits.h"

namespace keyward::https {
namespace {
constexpr std::int64_t kSecondUs = 1'000'000;
constexpr std::int64_t kMsUs = 1'000;
}  // namespace

AddressKey address_key(const sockaddr* address) {
  // An IPv4 address stands where the IPv6 prefix ffff:ffff::/32 would be, which nobody has
  // (multicast).
  constexpr AddressKey kV4 = 0xffff'ffff'0000'0000;
  if (address->sa_family == AF_INET)
    return kV4 | ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr);
  if (address->sa_family != AF_INET6) return 0;
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  constexpr int kMappedAt = 12, kPrefixOctets = 8;
  AddressKey out = 0;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    for (int i = kMappedAt; i < kMappedAt + 4; ++i) out = out << 8 | v6.s6_addr[i];
    return kV4 | out;
  }
  for (int i = 0; i < kPrefixOctets; ++i) out = out << 8 | v6.s6_addr[i];
  return out;
}

AddressPace::AddressPace(std::int64_t per_s, std::int64_t burst)
    : cost_us_(per_s > 0 ? std::max<std::int64_t>(1, kSecondUs / per_s) : 0),
      depth_us_(cost_us_ * std::max<std::int64_t>(1, burst)) {}

std::int64_t AddressPace::take(AddressKey address, std::int64_t now_ms, std::int64_t wait_max_ms) {
  if (cost_us_ == 0) return 0;
  const auto now_us = now_ms * kMsUs;
  const std::lock_guard lock(mutex_);
  const auto at = by_address_.find(address);
  const auto full_at_us =
      (at == by_address_.end() ? now_us : std::max(now_us, at->second->full_at_us)) + cost_us_;
  const auto wait_us = std::max<std::int64_t>(0, full_at_us - now_us - depth_us_);
  const auto wait_ms = (wait_us + kMsUs - 1) / kMsUs;
  if (wait_ms > wait_max_ms) return wait_ms;
  if (at != by_address_.end()) {
    at->second->full_at_us = full_at_us;
    order_.splice(order_.begin(), order_, at->second);
    return wait_ms;
  }
  if (order_.size() >= limits::kHttpPacesMax) {
    by_address_.erase(order_.back().address);
    order_.pop_back();
  }
  order_.push_front({address, full_at_us});
  by_address_.emplace(address, order_.begin());
  return wait_ms;
}

std::size_t AddressPace::size() const {
  const std::lock_guard lock(mutex_);
  return order_.size();
}

}  // namespace keyward::https
