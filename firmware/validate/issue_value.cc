#include "firmware/validate/issue_value.h"

#include <algorithm>

namespace keyward::validate {
namespace {

bool is_wsp(char c) { return c == ' ' || c == '\t'; }
bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_wsp(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_wsp(text.back())) text.remove_suffix(1);
  return text;
}

// label and tag have one grammar: letters and digits, hyphens only between them.
bool is_label(std::string_view text) {
  return !text.empty() && is_alnum(text.front()) && is_alnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

bool is_domain(std::string_view text) {
  while (true) {
    const auto dot = text.find('.');
    if (!is_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

Result<std::pair<std::string, std::string>> parse_parameter(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos)
    return fail(ErrorKind::kBadInput, "a parameter is written tag=value");
  const auto tag = trim(text.substr(0, equals));
  const auto value = trim(text.substr(equals + 1));
  const bool printable =
      std::all_of(value.begin(), value.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!is_label(tag) || !printable)
    return fail(ErrorKind::kBadInput, "a parameter has a character that it must not have");
  return std::pair(ascii_lower(tag), std::string(value));
}

}  // namespace

std::string ascii_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  return out;
}

Result<IssueValue> parse_issue_value(std::string_view text) {
  IssueValue out;
  const auto semicolon = text.find(';');
  const auto issuer = trim(text.substr(0, semicolon));
  if (!issuer.empty() && !is_domain(issuer))
    return fail(ErrorKind::kBadInput, "an issuer is a domain name");
  out.issuer = ascii_lower(issuer);
  if (semicolon == std::string_view::npos) return out;
  auto rest = trim(text.substr(semicolon + 1));
  if (rest.empty()) return out;
  while (true) {
    const auto end = rest.find(';');
    KEYWARD_TRY(parameter, parse_parameter(rest.substr(0, end)));
    out.parameters.push_back(std::move(parameter));
    if (end == std::string_view::npos) return out;
    rest.remove_prefix(end + 1);
  }
}

}  // namespace keyward::validate
