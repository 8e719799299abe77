#include "firmware/issue/pseudonym.h"

#include <array>

namespace keyward::issue {
namespace {

constexpr std::string_view kLabel = "keyward-pseudonym-1";
constexpr std::array<std::size_t, 4> kDashesAt = {8, 13, 18, 23};  // RFC 9562 §4

}  // namespace

std::string pseudonym_of(const TicketKey& key, const Digest256& account,
                         const wire::Identifier& device) {
  Bytes message(account.begin(), account.end());
  message.push_back(static_cast<std::uint8_t>(device.type));
  append(message, view_of(device.value));
  const auto tag = key.tag(kLabel, message);
  Bytes octets(tag.begin(), tag.begin() + 16);
  octets[6] = static_cast<std::uint8_t>((octets[6] & 0x0f) | 0x80);  // version 8
  octets[8] = static_cast<std::uint8_t>((octets[8] & 0x3f) | 0x80);  // variant of RFC 9562
  std::string text = hex_encode(octets);
  for (const auto at : kDashesAt) text.insert(at, "-");
  return text;
}

std::string pseudonym_uri(const std::string& pseudonym) { return "urn:uuid:" + pseudonym; }

}  // namespace keyward::issue
