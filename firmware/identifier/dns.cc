// Owns the canonical form of DNS names. Must not know resolution.
#include <algorithm>

#include <idn2.h>

#include "firmware/identifier/grammar.h"
#include "firmware/identifier/identifier.h"

namespace keyward::identifier {
namespace {

constexpr std::size_t kNameBytesMax = 253;  // RFC 1035 §2.3.4: 255 octets on the wire
constexpr std::size_t kLabelBytesMax = 63;

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

bool is_letter_digit_hyphen(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

// RFC 5891 §4.2 and §5.4: the A-label decodes, its U-label is allowed, and encodes to the same
// A-label.
bool is_valid_a_label(const std::string& label) {
  std::uint8_t* out = nullptr;
  const auto* alabel = reinterpret_cast<const std::uint8_t*>(label.c_str());
  const int code = ::idn2_register_u8(nullptr, alabel, &out, IDN2_NFC_INPUT);
  ::idn2_free(out);
  return code == IDN2_OK;
}

Status check_label(std::string_view label) {
  if (label.empty()) return bad("dns: empty label");
  if (label.size() > kLabelBytesMax) return bad("dns: label over 63 octets");
  if (!std::ranges::all_of(label, is_letter_digit_hyphen))
    return bad("dns: a character that is not LDH");
  if (label.front() == '-' || label.back() == '-') return bad("dns: hyphen at the edge of a label");
  if (label.size() < 4 || label.substr(2, 2) != "--") return {};
  if (!label.starts_with("xn--")) return bad("dns: reserved label");  // RFC 5890 §2.3.1
  return is_valid_a_label(std::string(label)) ? Status{} : bad("dns: not a valid A-label");
}

bool is_all_digits(std::string_view label) {
  return std::ranges::all_of(label, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<std::string> canonical_dns(std::string_view value, bool allow_single_label) {
  std::string name(value);
  for (char& c : name) {
    if (static_cast<unsigned char>(c) >= 0x80)
      return bad("dns: not an A-label");  // RFC 8555 §7.1.4
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (has_control_character(name))
    return fail(ErrorKind::kRefused, "identifier: control character");
  if (name.ends_with('.')) name.pop_back();
  if (name.empty()) return bad("dns: empty name");
  if (name.size() > kNameBytesMax) return bad("dns: name over 253 octets");
  std::string_view rest = name;
  if (rest.starts_with("*.")) rest.remove_prefix(2);
  if (rest.find('*') != std::string_view::npos) return bad("dns: wildcard not at the front");
  std::size_t labels = 0;
  std::string_view last;
  for (bool more = true; more;) {
    const auto dot = rest.find('.');
    last = rest.substr(0, dot);
    KEYWARD_CHECK(check_label(last));
    ++labels;
    more = dot != std::string_view::npos;
    if (more) rest.remove_prefix(dot + 1);
  }
  // No top-level domain is numeric (RFC 3696 §2); this is an address in the wrong type.
  if (is_all_digits(last)) return bad("dns: an address is not a name");
  if (labels < 2 && !allow_single_label) return fail(ErrorKind::kRefused, "dns: a single label");
  return name;
}

}  // namespace keyward::identifier
