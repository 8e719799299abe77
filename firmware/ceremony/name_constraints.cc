// Owns name constraints as a plan has them. Must not know certificates.
#include "firmware/ceremony/name_constraints.h"

#include <charconv>

#include <arpa/inet.h>

#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"

namespace keyward::ceremony {

std::optional<Bytes> ip_subtree_octets(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const std::string address = text.substr(0, slash);
  std::uint8_t octets[16];
  std::size_t size = 0;
  if (::inet_pton(AF_INET, address.c_str(), octets) == 1) size = 4;
  if (size == 0 && ::inet_pton(AF_INET6, address.c_str(), octets) == 1) size = 16;
  unsigned bits = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + slash + 1, end, bits);
  if (size == 0 || parsed.ec != std::errc() || parsed.ptr != end || bits > size * 8)
    return std::nullopt;
  Bytes out(octets, octets + size);
  for (std::size_t i = 0; i < size; ++i) {
    const unsigned ones = bits >= (i + 1) * 8 ? 8
                          : bits > i * 8      ? bits - static_cast<unsigned>(i) * 8
                                              : 0;
    const auto mask = static_cast<std::uint8_t>(0xff00U >> ones);
    if ((octets[i] & static_cast<std::uint8_t>(~mask)) != 0) return std::nullopt;
    out.push_back(mask);
  }
  return out;
}

Bytes name_constraints_extension(const std::vector<std::string>& dns,
                                 const std::vector<std::string>& ip) {
  constexpr unsigned kDnsName = 2, kIpAddress = 7;  // GeneralName
  if (ip.empty()) return dns.empty() ? Bytes() : x509::ext_name_constraints_dns(dns);
  Bytes subtrees;
  for (const auto& name : dns)
    append(subtrees, x509::der_sequence({x509::tlv(x509::tag::context(kDnsName), view_of(name))}));
  for (const auto& text : ip) {
    if (const auto octets = ip_subtree_octets(text))
      append(subtrees, x509::der_sequence({x509::tlv(x509::tag::context(kIpAddress), *octets)}));
  }
  return x509::extension_der(
      "2.5.29.30", true,
      x509::der_sequence({x509::tlv(x509::tag::context_constructed(0), ByteView(subtrees))}));
}

}  // namespace keyward::ceremony
