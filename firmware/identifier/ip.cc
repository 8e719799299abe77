// Owns the canonical text of IP addresses (RFC 8738 §3, RFC 5952). Must not know routing.
#include <algorithm>
#include <array>

#include <arpa/inet.h>

#include "firmware/identifier/grammar.h"
#include "hal/base/bytes.h"

namespace keyward::identifier {
namespace {

constexpr std::size_t kAddressTextBytesMax = 45;

// ::/96 (beside :: and ::1) and ::ffff:0:0/96 are second spellings of IPv4 addresses: one address
// must have one identifier.
bool is_spelling_of_ipv4(ByteView address) {
  const auto zero = [](auto b) { return b == 0; };
  if (!std::ranges::all_of(address.first(10), zero)) return false;
  if (address[10] == 0xff && address[11] == 0xff) return true;
  return address[10] == 0 && address[11] == 0 &&
         (address[12] != 0 || address[13] != 0 || address[14] != 0 || address[15] > 1);
}

}  // namespace

Result<std::string> canonical_ip(std::string_view value) {
  if (has_control_character(value))
    return fail(ErrorKind::kRefused, "identifier: control character");
  if (value.empty() || value.size() > kAddressTextBytesMax)
    return fail(ErrorKind::kBadInput, "ip: not an address");
  const std::string text(value);
  std::array<std::uint8_t, 16> address{};
  std::array<char, INET6_ADDRSTRLEN> out{};
  // inet_pton reads dotted decimal without leading zeros and with four parts alone.
  if (::inet_pton(AF_INET, text.c_str(), address.data()) == 1) return text;
  if (::inet_pton(AF_INET6, text.c_str(), address.data()) != 1)
    return fail(ErrorKind::kBadInput, "ip: not an address");
  if (is_spelling_of_ipv4(address))
    return fail(ErrorKind::kRefused, "ip: an IPv4 address written as IPv6");
  // Its output is RFC 5952's: lower case, the longest run of zeros shortened, the first of equals,
  // never a single group.
  if (::inet_ntop(AF_INET6, address.data(), out.data(), out.size()) == nullptr) {
    return fail(ErrorKind::kInternal, "ip: cannot be written");
  }
  return std::string(out.data());
}

}  // namespace keyward::identifier
