#include "firmware/validate/address.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace keyward::validate {
namespace {

// IPv4: public unless listed (IANA IPv4 special-purpose registry, multicast, class E).
constexpr std::string_view kRefused4[] = {
    "0.0.0.0/8",        // this network
    "10.0.0.0/8",       // private, RFC 1918
    "100.64.0.0/10",    // carrier NAT, RFC 6598
    "127.0.0.0/8",      // loopback
    "169.254.0.0/16",   // link-local, cloud metadata
    "172.16.0.0/12",    // private
    "192.0.0.0/24",     // IETF protocol assignments
    "192.0.2.0/24",     // documentation
    "192.88.99.0/24",   // former 6to4 relays
    "192.168.0.0/16",   // private
    "198.18.0.0/15",    // benchmarking
    "198.51.100.0/24",  // documentation
    "203.0.113.0/24",   // documentation
    "224.0.0.0/4",      // multicast
    "240.0.0.0/4",      // reserved, limited broadcast
};

// IPv6: refused unless global unicast (2000::/3), and there unless listed.
constexpr std::string_view kGlobal6 = "2000::/3";
constexpr std::string_view kRefused6[] = {
    "2001::/23",      // IETF protocol assignments, Teredo
    "2001:db8::/32",  // documentation
    "2002::/16",      // 6to4: an IPv4 address inside
    "3fff::/20",      // documentation
};

Prefix known(std::string_view text) { return *Prefix::parse(text); }

const std::vector<Prefix>& refused() {
  static const std::vector<Prefix> prefixes = [] {
    std::vector<Prefix> out;
    for (const auto text : kRefused4) out.push_back(known(text));
    for (const auto text : kRefused6) out.push_back(known(text));
    return out;
  }();
  return prefixes;
}

bool in_any(const std::vector<Prefix>& prefixes, const IpAddress& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const Prefix& p) { return p.contains(address); });
}

}  // namespace

IpAddress IpAddress::v4(std::span<const std::uint8_t, 4> octets) {
  IpAddress out;
  std::copy(octets.begin(), octets.end(), out.octets_.begin());
  return out;
}

IpAddress IpAddress::v6(std::span<const std::uint8_t, 16> octets) {
  IpAddress out;
  out.v6_ = true;
  std::copy(octets.begin(), octets.end(), out.octets_.begin());
  return out;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos)
    return fail(ErrorKind::kBadInput, "not an IP address");
  IpAddress out;
  if (::inet_pton(AF_INET, terminated.c_str(), out.octets_.data()) == 1) return out;
  out.v6_ = true;
  if (::inet_pton(AF_INET6, terminated.c_str(), out.octets_.data()) == 1) return out;
  return fail(ErrorKind::kBadInput, "not an IP address");
}

std::optional<IpAddress> IpAddress::from(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address, sizeof in);
    std::array<std::uint8_t, 4> octets{};
    std::memcpy(octets.data(), &in.sin_addr, octets.size());
    return v4(octets);
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &address, sizeof in);
    std::array<std::uint8_t, 16> octets{};
    std::memcpy(octets.data(), &in.sin6_addr, octets.size());
    return v6(octets);
  }
  return std::nullopt;
}

std::string IpAddress::text() const {
  char buffer[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(v6_ ? AF_INET6 : AF_INET, octets_.data(), buffer, sizeof buffer);
  return buffer;
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return fail(ErrorKind::kBadInput, "a prefix is written address/bits");
  KEYWARD_TRY(base, IpAddress::parse(text.substr(0, slash)));
  const auto digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  const auto width = static_cast<unsigned>(base.octets().size() * 8);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || bits > width) {
    return fail(ErrorKind::kBadInput, "a prefix has a wrong length");
  }
  for (unsigned bit = bits; bit < width; ++bit) {
    if ((base.octets()[bit / 8] >> (7 - bit % 8)) & 1)
      return fail(ErrorKind::kBadInput, "a prefix has bits beyond its length");
  }
  return Prefix(base, bits);
}

bool Prefix::contains(const IpAddress& address) const {
  if (address.is_v6() != base_.is_v6()) return false;
  const unsigned whole = bits_ / 8;
  if (!std::equal(base_.octets().begin(), base_.octets().begin() + whole, address.octets().begin()))
    return false;
  const unsigned rest = bits_ % 8;
  if (rest == 0) return true;
  const unsigned mask = (0xffu << (8 - rest)) & 0xffu;
  return (base_.octets()[whole] & mask) == (address.octets()[whole] & mask);
}

bool EgressPolicy::allows(const IpAddress& address) const {
  if (in_any(allow_, address)) return true;
  if (address.is_v6()) {
    static const Prefix global = known(kGlobal6);
    if (!global.contains(address)) return false;
  }
  return !in_any(refused(), address);
}

}  // namespace keyward::validate
