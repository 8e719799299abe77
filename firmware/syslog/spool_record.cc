#include "firmware/syslog/spool_record.h"

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <filesystem>

#include "hal/base/limits.h"

namespace keyward::syslog {
namespace {

constexpr std::size_t kStartDigits = 16, kNumberDigits = 20, kSumDigits = 8;

// FNV-1a (draft-eastlake-fnv): tells torn from whole.
std::uint32_t checksum(std::string_view text) {
  std::uint32_t sum = 2'166'136'261U;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 16'777'619U;
  return sum;
}

std::string sum_text(std::string_view body) {
  char out[kSumDigits + 1];
  std::snprintf(out, sizeof out, "%08" PRIx32, checksum(body));
  return out;
}

template <class T>
bool take_number(std::string_view& text, T& out) {
  const auto blank = text.find(' ');
  if (blank == std::string_view::npos) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + blank, out);
  if (error != std::errc{} || end != text.data() + blank) return false;
  text.remove_prefix(blank + 1);
  return true;
}

std::optional<Place> place_of(std::string_view name) {
  if (name.size() != kStartDigits + 1 + kNumberDigits || name[kStartDigits] != '-')
    return std::nullopt;
  Place out;
  const char* middle = name.data() + kStartDigits;
  const char* end = name.data() + name.size();
  if (std::from_chars(name.data(), middle, out.start).ptr != middle) return std::nullopt;
  const auto [rest, error] = std::from_chars(middle + 1, end, out.number);
  if (rest != end || error != std::errc{}) return std::nullopt;
  return out;
}

}  // namespace

std::string encode(const Record& record) {
  std::string body = std::to_string(record.place.number) + " " + std::to_string(record.utc_ms) +
                     " " + record.task + " ";
  for (const char c : record.text.substr(0, limits::kLogLineBytesMax + 64)) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    body += control ? ' ' : c;
  }
  return sum_text(body) + " " + body + "\n";
}

std::optional<Record> decode(std::string_view line, std::uint64_t start) {
  if (line.size() < kSumDigits + 1 || line[kSumDigits] != ' ') return std::nullopt;
  std::string_view body = line.substr(kSumDigits + 1);
  if (line.substr(0, kSumDigits) != sum_text(body)) return std::nullopt;
  Record out;
  out.place.start = start;
  if (!take_number(body, out.place.number) || !take_number(body, out.utc_ms)) return std::nullopt;
  const auto blank = body.find(' ');
  if (blank == std::string_view::npos || blank == 0) return std::nullopt;
  out.task = body.substr(0, blank);
  out.text = body.substr(blank + 1);
  return out;
}

std::string file_name(const Place& first) {
  char out[kStartDigits + kNumberDigits + 2];
  std::snprintf(out, sizeof out, "%016" PRIu64 "-%020" PRIu64, first.start, first.number);
  return out;
}

Result<std::vector<Place>> list_files(const std::string& directory) {
  std::vector<Place> out;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (const auto place = place_of(entry->path().filename().string())) out.push_back(*place);
  }
  if (error) return fail(ErrorKind::kUnavailable, "cannot read the spool's folder", error.value());
  std::ranges::sort(out);
  return out;
}

}  // namespace keyward::syslog
