// Owns the second look at what civetweb parsed. Must not know civetweb's types.
#include "firmware/https/request_fence.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

namespace keyward::https {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) ==
                  std::tolower(static_cast<unsigned char>(y));
         });
}

std::string_view trimmed(std::string_view value) {
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return value;
}

bool is_token(std::string_view name) {  // RFC 9110 §5.6.2
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](unsigned char c) {
    return (c < 0x80 && std::isalnum(c)) ||
           kMarks.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

// CR LF, each overwritten with NUL, and the next element right behind: `end` points at the first
// NUL.
bool ends_with_crlf(const char* end, const char* next) { return next == end + 2; }

// The octets between the pointers are exactly the separators of RFC 9112 §3 and §5.
bool has_exact_separators(const RawRequest& raw) {
  const char* method_end = raw.method + std::strlen(raw.method);
  if (raw.target != method_end + 1) return false;  // one SP
  const char* tail = raw.query != nullptr ? raw.query : raw.target;
  if (raw.query != nullptr && raw.query != raw.target + std::strlen(raw.target) + 1) return false;
  const char* target_end = tail + std::strlen(tail);
  if (raw.version != target_end + 1 + std::strlen("HTTP/")) return false;
  const char* line_end = raw.version + std::strlen(raw.version);
  for (const RawHeader& header : raw.headers) {
    if (!ends_with_crlf(line_end, header.name)) return false;  // bare LF, empty or folded line
    const char* colon = header.name + std::strlen(header.name);
    if (header.value <= colon) return false;
    // A second NUL in front of the value was a space before the colon (RFC 9112 §5.1: refuse).
    if (!std::all_of(colon + 1, header.value, [](char c) { return c == ' ' || c == '\t'; }))
      return false;
    line_end = header.value + std::strlen(header.value);
    if (line_end - raw.method > static_cast<std::ptrdiff_t>(limits::kHttpHeaderBytesMax) - 8)
      return false;
  }
  // The header block ends here: CR LF overwritten, then CR, then the last LF overwritten. Anything
  // else means that civetweb stopped early: a folded line, or more headers than it keeps.
  return !raw.headers.empty() && line_end[1] == '\0' && line_end[2] == '\r' && line_end[3] == '\0';
}

struct KnownHeaders {
  std::vector<std::string_view> host, content_length, transfer_encoding, content_type, accept,
      expect, if_none_match;
};

KnownHeaders collect(const RawRequest& raw) {
  KnownHeaders known;
  for (const RawHeader& header : raw.headers) {
    const std::string_view name = header.name;
    const std::string_view value = trimmed(header.value);
    if (same_name(name, "host")) known.host.push_back(value);
    if (same_name(name, "content-length")) known.content_length.push_back(value);
    if (same_name(name, "transfer-encoding")) known.transfer_encoding.push_back(value);
    if (same_name(name, "content-type")) known.content_type.push_back(value);
    if (same_name(name, "accept")) known.accept.push_back(value);
    if (same_name(name, "expect")) known.expect.push_back(value);
    if (same_name(name, "if-none-match")) known.if_none_match.push_back(value);
  }
  return known;
}

std::optional<std::uint64_t> digits(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// RFC 9112 §6.1, §6.3: what could be read in two ways is refused, never repaired.
std::optional<Refusal> check_framing(const KnownHeaders& known, FencedRequest& out) {
  if (!known.transfer_encoding.empty() && !known.content_length.empty())
    return Refusal{400, "Content-Length and Transfer-Encoding together"};
  if (known.content_length.size() > 1) return Refusal{400, "Content-Length is repeated"};
  if (!known.transfer_encoding.empty())
    return Refusal{411, "Transfer-Encoding is not accepted; send Content-Length"};
  if (known.content_length.empty()) return std::nullopt;
  out.content_length_bytes = digits(known.content_length.front());
  if (!out.content_length_bytes) return Refusal{400, "Content-Length is not a number"};
  return std::nullopt;
}

std::optional<Refusal> check_host(const KnownHeaders& known, const Authority& authority,
                                  bool is_http_1_0) {
  if (known.host.size() > 1) return Refusal{400, "the Host header is repeated"};
  if (known.host.empty()) {
    if (is_http_1_0) return std::nullopt;  // RFC 9112 §3.2 asks for it in 1.1
    return Refusal{400, "the Host header is missing"};
  }
  if (!authority.any && !host_matches(known.host.front(), authority))
    return Refusal{421, "this server does not answer for the host in the Host header"};
  return std::nullopt;
}

std::optional<Refusal> check_grammar(const RawRequest& raw, bool takes_http_1_0) {
  if (raw.headers.size() > limits::kHeadersMax) return Refusal{431, "too many header fields"};
  if (!has_exact_separators(raw))
    return Refusal{400, "the request header is not well-formed HTTP/1.1"};
  const std::string_view version = raw.version;
  if (version != "1.1" && !(takes_http_1_0 && version == "1.0"))
    return Refusal{400, "only HTTP/1.1 is spoken here"};
  if (raw.target[0] != '/') return Refusal{400, "the request target is not a path"};
  if (std::strlen(raw.target) + (raw.query ? std::strlen(raw.query) : 0) > limits::kUrlBytesMax)
    return Refusal{400, "the request target is too long"};
  for (const RawHeader& header : raw.headers)
    if (!is_token(header.name)) return Refusal{400, "a header field has an invalid name"};
  return std::nullopt;
}

}  // namespace

bool host_matches(std::string_view host, const Authority& authority) {
  const auto bracket = host.rfind(']');
  const auto colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  std::uint64_t port = 443;
  if (colon != std::string_view::npos) {
    const auto parsed = digits(host.substr(colon + 1));
    if (!parsed) return false;
    port = *parsed;
  }
  if (port != authority.port) return false;
  const std::string name = lower(host.substr(0, colon));
  return std::find(authority.hosts.begin(), authority.hosts.end(), name) != authority.hosts.end();
}

FenceResult fence(const RawRequest& raw, const Authority& authority) {
  if (const auto refusal = check_grammar(raw, authority.any)) return {std::nullopt, *refusal};
  const KnownHeaders known = collect(raw);
  FencedRequest out;
  if (const auto refusal = check_framing(known, out)) return {std::nullopt, *refusal};
  out.is_http_1_0 = std::string_view(raw.version) == "1.0";
  if (const auto refusal = check_host(known, authority, out.is_http_1_0))
    return {std::nullopt, *refusal};
  if (known.content_type.size() > 1) return {std::nullopt, {400, "Content-Type is repeated"}};
  if (known.expect.size() > 1 ||
      (!known.expect.empty() && !same_name(known.expect.front(), "100-continue")))
    return {std::nullopt, {400, "this Expect is not supported"}};
  out.expects_continue = !known.expect.empty();
  out.request.method = raw.method;
  out.request.raw_path = raw.target;
  if (raw.query != nullptr) out.request.raw_path.append("?").append(raw.query);
  if (!known.host.empty()) out.request.host = known.host.front();
  if (!known.content_type.empty()) out.request.content_type = known.content_type.front();
  for (const auto& part : known.accept) {  // one list in several lines (RFC 9110 §5.3)
    if (!out.request.accept.empty()) out.request.accept += ", ";
    out.request.accept += part;
  }
  for (const auto& part : known.if_none_match) {
    if (!out.request.if_none_match.empty()) out.request.if_none_match += ", ";
    out.request.if_none_match += part;
  }
  return {std::move(out), {}};
}

}  // namespace keyward::https
