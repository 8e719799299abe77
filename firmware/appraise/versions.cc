#include "firmware/appraise/versions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string>

namespace keyward::appraise {
namespace {

// The next part of a version; the rest is left.
std::optional<std::uint64_t> next_part(std::string_view& text) {
  const auto end = text.find_first_of(".-");
  const auto part = read_number(text.substr(0, end));
  text = end == std::string_view::npos ? "" : text.substr(end + 1);
  return part;
}

bool is_version(std::string_view text) {
  return !text.empty() && text.back() != '.' && text.back() != '-';
}

constexpr std::array<std::string_view, 16> kClaims{
    "ueid",    "oemid",  "hwmodel",     "hwversion", "swname",    "swversion", "oemboot", "dbgstat",
    "measres", "intuse", "eat_profile", "uptime",    "bootcount", "iss",       "sub",     "aud"};

}  // namespace

std::optional<std::uint64_t> read_number(std::string_view digits) {
  constexpr std::size_t kDigitsMax = 15;
  if (digits.empty() || digits.size() > kDigitsMax) return std::nullopt;
  std::uint64_t out = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size()) return std::nullopt;
  return out;
}

std::optional<int> compare_versions(std::string_view a, std::string_view b) {
  if (!is_version(a) || !is_version(b)) return std::nullopt;
  int result = 0;
  while (!a.empty() || !b.empty()) {
    const bool a_ended = a.empty(), b_ended = b.empty();
    const auto left = a_ended ? 0 : next_part(a);
    const auto right = b_ended ? 0 : next_part(b);
    if (!left || !right) return std::nullopt;
    if (result == 0 && *left != *right) result = *left < *right ? -1 : 1;
  }
  return result;
}

std::optional<std::int64_t> read_date_ms(std::string_view text) {
  std::string digits(text);
  if (text.size() == 7 || text.size() == 10) {
    if (text[4] != '-' || (text.size() == 10 && text[7] != '-')) return std::nullopt;
    std::erase(digits, '-');
  }
  if (digits.size() == 6) digits += "01";
  const auto number = read_number(digits);
  if (!number || digits.size() != 8) return std::nullopt;
  const std::chrono::year_month_day date(
      std::chrono::year(static_cast<int>(*number / 10'000)),
      std::chrono::month(static_cast<unsigned>(*number / 100 % 100)),
      std::chrono::day(static_cast<unsigned>(*number % 100)));
  if (!date.ok()) return std::nullopt;
  constexpr std::int64_t kDayMs = 86'400'000;
  return std::chrono::sys_days(date).time_since_epoch().count() * kDayMs;
}

bool is_claim_compared(std::string_view claim) {
  return std::ranges::find(kClaims, claim) != kClaims.end();
}

}  // namespace keyward::appraise
