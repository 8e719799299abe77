// Owns IP addresses, prefixes, and where this appliance may connect to (egress policy). Must not
// know names or HTTP. Sources: IANA special-purpose registries (RFC 6890, RFC 8190), RFC 8555
// §10.4. Errors: kBadInput. Threads: values and pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

struct sockaddr;

namespace keyward::validate {

class IpAddress {
 public:
  static Result<IpAddress> parse(
      std::string_view text);  // dotted quad or RFC 4291 text; no zone, no brackets
  static IpAddress v4(std::span<const std::uint8_t, 4> octets);
  static IpAddress v6(std::span<const std::uint8_t, 16> octets);
  static std::optional<IpAddress> from(const sockaddr& address);  // empty: another family

  bool is_v6() const { return v6_; }
  std::span<const std::uint8_t> octets() const {
    return {octets_.data(), v6_ ? std::size_t{16} : std::size_t{4}};
  }
  std::string text() const;
  friend bool operator==(const IpAddress&, const IpAddress&) = default;

 private:
  bool v6_ = false;
  std::array<std::uint8_t, 16> octets_{};
};

class Prefix {
 public:
  static Result<Prefix> parse(
      std::string_view text);  // "10.0.0.0/8"; bits after the length must be zero
  bool contains(const IpAddress& address) const;

 private:
  Prefix(IpAddress base, unsigned bits) : base_(base), bits_(bits) {}
  IpAddress base_;
  unsigned bits_;
};

// Refuses by default everything that is not a public unicast address: a client names the host, and
// the appliance must not become its hand inside the plant's network. `allow` opens prefixes by
// name. IPv4 addresses inside IPv6 (mapped, compatible, NAT64, 6to4, Teredo) stay refused unless
// their IPv6 form is opened: what is behind them is decided elsewhere.
class EgressPolicy {
 public:
  EgressPolicy() = default;
  explicit EgressPolicy(std::vector<Prefix> allow) : allow_(std::move(allow)) {}
  bool allows(const IpAddress& address) const;

 private:
  std::vector<Prefix> allow_;
};

}  // namespace keyward::validate
