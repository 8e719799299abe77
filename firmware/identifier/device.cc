// Owns the grammar of device identifiers (draft-ietf-acme-device-attest-10). Octets are never
// changed.
#include <algorithm>

#include "firmware/identifier/grammar.h"
#include "firmware/identifier/identifier.h"

namespace keyward::identifier {
namespace {

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

bool is_component(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Dotted decimal; arcs of any size (2.25 carries a 128-bit number), so nothing is converted.
bool is_oid(std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return false;
  const auto first = text.substr(0, dot);
  if (first != "0" && first != "1" && first != "2") return false;
  text.remove_prefix(dot + 1);
  bool is_second = true;
  while (true) {
    const auto next = text.find('.');
    const auto component = text.substr(0, next);
    if (!is_component(component)) return false;
    if (is_second && first != "2" &&
        (component.size() > 2 || (component.size() == 2 && component > "39")))
      return false;
    is_second = false;
    if (next == std::string_view::npos) return true;
    text.remove_prefix(next + 1);
  }
}

Result<DeviceValue> split(std::string_view value) {
  if (!wire::is_valid_utf8(view_of(value))) return bad("device identifier: not UTF-8");
  const auto slash = value.find('/');
  DeviceValue out{std::string(value.substr(0, slash)), std::nullopt};
  if (out.value.empty()) return bad("device identifier: empty value");
  if (slash == std::string_view::npos) return out;
  const auto oid = value.substr(slash + 1);
  if (oid.find('/') != std::string_view::npos) return bad("device identifier: two slashes");
  if (!is_oid(oid)) return bad("device identifier: not an object identifier after the slash");
  out.oid = std::string(oid);
  return out;
}

// What the grammar allows and this product does not accept in a certificate (D-D11).
Status check_policy(std::string_view value) {
  if (value.size() > limits::kDeviceIdentifierBytesMax)
    return fail(ErrorKind::kRefused, "identifier: over 256 octets");
  if (has_control_character(value))
    return fail(ErrorKind::kRefused, "identifier: control character");
  return {};
}

}  // namespace

bool has_control_character(std::string_view utf8) {
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    if (c < 0x20 || c == 0x7f) return true;
    const bool c1 =
        c == 0xC2 && i + 1 < utf8.size() && static_cast<unsigned char>(utf8[i + 1]) < 0xA0;
    if (c1) return true;
  }
  return false;
}

Status check_permanent_identifier(std::string_view value) {
  KEYWARD_CHECK(split(value));
  return check_policy(value);
}

Status check_hardware_module(std::string_view value) {
  KEYWARD_TRY(parts, split(value));
  if (!parts.oid) return bad("hardware-module: the type is missing");
  return check_policy(value);
}

Result<DeviceValue> split_device_value(const Identifier& identifier) {
  const bool module = identifier.type == IdentifierType::kHardwareModule;
  if (!module && identifier.type != IdentifierType::kPermanentIdentifier)
    return bad("not a device identifier");
  KEYWARD_TRY(parts, split(identifier.value));
  if (module && !parts.oid) return bad("hardware-module: the type is missing");
  return std::move(parts);
}

}  // namespace keyward::identifier
