#include "firmware/issue/ip_subtree.h"

#include <charconv>
#include <string>

#include <arpa/inet.h>

namespace keyward::issue {
namespace {

Bytes octets_of(const std::string& text) {
  Bytes out(4);
  if (::inet_pton(AF_INET, text.c_str(), out.data()) == 1) return out;
  out.resize(16);
  if (::inet_pton(AF_INET6, text.c_str(), out.data()) == 1) return out;
  return {};
}

bool bit(const Bytes& octets, unsigned index) {
  return (octets[index / 8] & (0x80u >> index % 8)) != 0;
}

}  // namespace

Result<IpSubtree> IpSubtree::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == text.npos) return fail(ErrorKind::kBadInput, "a prefix has an address and a length");
  Bytes base = octets_of(std::string(text.substr(0, slash)));
  const auto length = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
  if (base.empty() || error != std::errc{} || end != length.data() + length.size() ||
      bits > base.size() * 8)
    return fail(ErrorKind::kBadInput, "not an address and a length");
  for (unsigned i = bits; i < base.size() * 8; ++i) {
    if (bit(base, i)) return fail(ErrorKind::kBadInput, "a prefix with bits behind its length");
  }
  return IpSubtree(std::move(base), bits);
}

bool IpSubtree::covers(const IpSubtree& other) const {
  if (other.base_.size() != base_.size() || other.bits_ < bits_) return false;
  for (unsigned bit = 0; bit < bits_; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    if ((base_[bit / 8] & mask) != (other.base_[bit / 8] & mask)) return false;
  }
  return true;
}

std::string IpSubtree::text() const { return hex_encode(base_) + "/" + std::to_string(bits_); }

bool IpSubtree::contains(const wire::Identifier& address) const {
  if (address.type != wire::IdentifierType::kIp) return false;
  const Bytes octets = octets_of(address.value);
  if (octets.size() != base_.size()) return false;
  for (unsigned i = 0; i < bits_; ++i) {
    if (bit(octets, i) != bit(base_, i)) return false;
  }
  return true;
}

}  // namespace keyward::issue
