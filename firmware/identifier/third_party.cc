// Owns the canonical forms of remote attestation hints, MAC addresses and Service URIs. Must not
// know what any of them is proved by.
#include <algorithm>

#include "firmware/identifier/grammar.h"
#include "firmware/identifier/identifier.h"

namespace keyward::identifier {
namespace {

constexpr std::size_t kHintBytesMax = 64;  // as long as a profile's name, which it chooses with
constexpr std::size_t kPortDigitsMax = 5;

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Pairs of hex digits with the same separator between them, which is returned: 0 for none.
Result<Bytes> read_octets(std::string_view text) {
  const bool separated = text.size() > 2 && hex_digit(lower(text[2])) < 0;
  const char separator = separated ? text[2] : '\0';
  if (separated && separator != ':' && separator != '-') return bad("mac: not hex octets");
  const std::size_t step = separated ? 3 : 2;
  const std::size_t length = text.size() + (separated ? 1 : 0);
  if (length % step != 0) return bad("mac: not hex octets");
  Bytes out;
  for (std::size_t at = 0; at < length; at += step) {
    const int high = hex_digit(lower(text[at])), low = hex_digit(lower(text[at + 1]));
    const bool last = at + step == length;
    if (high < 0 || low < 0 || (separated && !last && text[at + 2] != separator))
      return bad("mac: not hex octets");
    out.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return out;
}

// What a Service URI is made of; the views lie in the text.
struct UriParts {
  std::string_view scheme, user, host, rest;  // user with its "@", rest from the port on
};

bool is_uri_character(char c) {
  // RFC 3986 §2: unreserved, reserved and "%"; neither quotes nor brackets of any kind.
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~:/?#@!$&'()*+,;=%").find(c) != std::string_view::npos;
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= kPortDigitsMax &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// https: "//" host [":" port] and a path (RFC 9110 §4.2.2; §4.2.4: no user information).
// sip, sips: [user "@"] host [":" port] and parameters (RFC 3261 §19.1.1).
Result<UriParts> split_uri(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return bad("uri: no scheme");
  UriParts out;
  out.scheme = text.substr(0, colon + 1);
  std::string scheme(out.scheme);
  std::ranges::transform(scheme, scheme.begin(), lower);
  auto rest = text.substr(colon + 1);
  const bool web = scheme == "https:";
  if (!web && scheme != "sip:" && scheme != "sips:")
    return bad("uri: a scheme that is not sip, sips or https");
  if (web) {
    if (!rest.starts_with("//")) return bad("uri: no host");
    out.scheme = text.substr(0, colon + 3);
    rest.remove_prefix(2);
  }
  const auto end = rest.find_first_of(web ? "/?#" : ";?");
  const auto authority = rest.substr(0, end);
  const auto at = authority.rfind('@');
  if (web && at != std::string_view::npos) return bad("uri: user information");
  // RFC 3261 §25.1: a user may hold ";" and "?", so the host comes after the only "@" or nowhere.
  if (at == std::string_view::npos && rest.find('@') != std::string_view::npos && !web)
    return bad("uri: where its host begins is not clear");
  const std::size_t host_at = at == std::string_view::npos ? 0 : at + 1;
  if (at == 0) return bad("uri: an empty user");
  if (authority.substr(0, host_at == 0 ? 0 : at).find('@') != std::string_view::npos)
    return bad("uri: where its host begins is not clear");
  out.user = rest.substr(0, host_at);
  const auto host = authority.substr(host_at);
  const auto port = host.find(':');
  if (port != std::string_view::npos && !is_port(host.substr(port + 1))) return bad("uri: port");
  out.host = host.substr(0, port);
  out.rest = rest.substr(host_at + out.host.size());
  return out;
}

}  // namespace

bool is_attestation_type(IdentifierType type) { return type == IdentifierType::kRemoteAttestation; }

// draft-ietf-acme-rats: hints that differ in "-" and "_" alone are the same one.
Result<std::string> canonical_hint(std::string_view value) {
  if (value.size() > kHintBytesMax) return bad("remote-attestation: hint over 64 octets");
  std::string hint(value);
  std::ranges::replace(hint, '-', '_');
  const bool allowed = std::ranges::all_of(
      hint, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
  if (!allowed) return bad("remote-attestation: a hint has a-z, 0-9, _ and -");
  return hint;
}

Result<std::string> hint_of(const Identifier& identifier) {
  if (!is_attestation_type(identifier.type)) return bad("not a remote attestation");
  return canonical_hint(identifier.value);
}

// D-T1: the forms that devices are labelled with become one. IEEE 802: the lowest bit of the first
// octet says that an address is a group's.
Result<std::string> canonical_mac(std::string_view value) {
  if (value.size() > 23) return bad("mac: not 6 or 8 octets");
  KEYWARD_TRY(octets, read_octets(value));
  if (octets.size() != 6 && octets.size() != 8) return bad("mac: not 6 or 8 octets");
  if ((octets.front() & 0x01U) != 0) return fail(ErrorKind::kRefused, "mac: a group's address");
  if (std::ranges::all_of(octets, [](std::uint8_t octet) { return octet == 0; }))
    return fail(ErrorKind::kRefused, "mac: nobody's address");
  std::string out;
  for (const auto octet : octets) {
    if (!out.empty()) out += ':';
    out += hex_encode(ByteView(&octet, 1));
  }
  return out;
}

Result<Bytes> mac_octets(const Identifier& identifier) {
  if (identifier.type != IdentifierType::kMac) return bad("not a mac");
  KEYWARD_TRY(text, canonical_mac(identifier.value));
  return read_octets(text);
}

Result<std::string> mac_text(ByteView octets) { return canonical_mac(hex_encode(octets)); }

Result<std::string> canonical_uri(std::string_view value) {
  if (value.size() > limits::kDeviceIdentifierBytesMax)
    return fail(ErrorKind::kRefused, "uri: over 256 octets");
  if (!std::ranges::all_of(value, is_uri_character))
    return bad("uri: a character that is no URI's");
  KEYWARD_TRY(parts, split_uri(value));
  KEYWARD_TRY(host, canonical_dns(parts.host, false));
  if (host.starts_with("*.")) return bad("uri: a wildcard is no host");
  std::string out(parts.scheme);
  std::ranges::transform(out, out.begin(), lower);
  out += parts.user;
  out += host;
  out += parts.rest;
  return out;
}

Result<std::string> uri_host(const Identifier& identifier) {
  if (identifier.type != IdentifierType::kUri) return bad("not a uri");
  KEYWARD_TRY(parts, split_uri(identifier.value));
  return canonical_dns(parts.host, false);
}

}  // namespace keyward::identifier
