#include "firmware/wire/challenge_types.h"

#include <algorithm>
#include <array>
#include <utility>

namespace keyward::wire {
namespace {

constexpr std::array kTypes = std::to_array<std::pair<ValidationMethod, std::string_view>>({
    {ValidationMethod::kHttp01, "http-01"},
    {ValidationMethod::kDns01, "dns-01"},
    {ValidationMethod::kTlsAlpn01, "tls-alpn-01"},
    {ValidationMethod::kDeviceAttest01, "device-attest-01"},
    {ValidationMethod::kDnsAccount01, "dns-account-01"},
    {ValidationMethod::kDnsPersist01, "dns-persist-01"},
    {ValidationMethod::kTkauth01, "tkauth-01"},
    {ValidationMethod::kPossession01, "proof-of-possession-01"},
    {ValidationMethod::kRemoteAttest01, "remote-attest-01"},
    {ValidationMethod::kVendorJwt01, "vendor-jwt-01"},
});

}  // namespace

std::string_view challenge_type(ValidationMethod method) {
  const auto* row = std::ranges::find(kTypes, method, &decltype(kTypes)::value_type::first);
  return row == kTypes.end() ? std::string_view() : row->second;
}

std::optional<ValidationMethod> method_of(std::string_view challenge_type) {
  const auto* row =
      std::ranges::find(kTypes, challenge_type, &decltype(kTypes)::value_type::second);
  if (row == kTypes.end()) return std::nullopt;
  return row->first;
}

}  // namespace keyward::wire
