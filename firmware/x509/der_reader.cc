// Owns the strict DER reader. Must not know X.509.
#include "firmware/x509/der.h"

#include <algorithm>

#include "hal/base/limits.h"

namespace keyward::x509 {
namespace {

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

// X.690 §8.19: arcs in the fewest octets, the last one finished.
bool is_oid_content(ByteView content) {
  if (content.empty() || content.size() > limits::kOidBytesMax || (content.back() & 0x80) != 0)
    return false;
  bool at_start = true;
  for (const auto octet : content) {
    if (at_start && octet == 0x80) return false;
    at_start = (octet & 0x80) == 0;
  }
  return true;
}

// Appends base-128 digits to a big number in base 10^9, least significant first.
class Decimal {
 public:
  void push_7_bits(unsigned value) {
    std::uint64_t carry = value;
    for (auto& part : parts_) {
      carry += std::uint64_t{part} * 128;
      part = static_cast<std::uint32_t>(carry % kBase);
      carry /= kBase;
    }
    if (carry != 0) parts_.push_back(static_cast<std::uint32_t>(carry));
  }
  bool below(std::uint32_t limit) const {
    return parts_.empty() || (parts_.size() == 1 && parts_[0] < limit);
  }
  void subtract(std::uint32_t value) {  // value <= number
    std::int64_t borrow = value;
    for (auto& part : parts_) {
      const std::int64_t left = std::int64_t{part} - borrow;
      borrow = left < 0 ? 1 : 0;
      part = static_cast<std::uint32_t>(left < 0 ? left + kBase : left);
      if (borrow == 0) break;
    }
    while (!parts_.empty() && parts_.back() == 0) parts_.pop_back();
  }
  std::string text() const {
    if (parts_.empty()) return "0";
    std::string out = std::to_string(parts_.back());
    for (auto part = parts_.rbegin() + 1; part != parts_.rend(); ++part) {
      const auto digits = std::to_string(*part);
      out.append(9 - digits.size(), '0');
      out += digits;
    }
    return out;
  }

 private:
  static constexpr std::uint32_t kBase = 1'000'000'000;
  std::vector<std::uint32_t> parts_;
};

// Days from 1970-01-01 of a proleptic Gregorian date.
std::int64_t days_from_civil(int year, int month, int day) {
  const int y = month <= 2 ? year - 1 : year;
  const int era = y / 400;
  const int year_of_era = y - era * 400;
  const int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return std::int64_t{era} * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
         day_of_year - 719'468;
}

int days_in_month(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// `digits` is YYMMDDHHMMSS or YYYYMMDDHHMMSS.
Result<std::int64_t> read_time(std::string_view digits) {
  if (!std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
    return bad("der: time is not digits");
  const auto number = [&](std::size_t at, std::size_t size) {
    int value = 0;
    for (const char c : digits.substr(at, size)) value = value * 10 + (c - '0');
    return value;
  };
  const bool utc_time = digits.size() == 12;
  int year = number(0, utc_time ? 2 : 4);
  if (utc_time) year += year < 50 ? 2000 : 1900;
  const std::size_t at = utc_time ? 2 : 4;
  const int month = number(at, 2);
  const int day = number(at + 2, 2);
  const int hour = number(at + 4, 2);
  const int minute = number(at + 6, 2);
  const int second = number(at + 8, 2);
  if (year == 0 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
    return bad("der: no such date");
  if (hour > 23 || minute > 59 || second > 59) return bad("der: no such time of day");
  const std::int64_t seconds =
      days_from_civil(year, month, day) * 86'400 + hour * 3'600 + minute * 60 + second;
  return seconds * 1'000;
}

}  // namespace

Status DerReader::expect_end() const { return at_end() ? Status{} : bad("der: trailing octets"); }

std::optional<std::uint8_t> DerReader::peek_tag() const {
  if (at_end()) return std::nullopt;
  return in_[at_];
}

Result<DerReader::Any> DerReader::any() {
  const ByteView rest = in_.subspan(at_);
  if (rest.size() < 2) return bad("der: truncated");
  if ((rest[0] & 0x1f) == 0x1f) return bad("der: high tag number");
  std::size_t size = rest[1];
  std::size_t head = 2;
  if (size >= 0x80) {
    const std::size_t octets = size & 0x7f;
    if (octets == 0) return bad("der: indefinite length");
    if (octets > 4) return bad("der: length out of range");
    if (rest.size() < 2 + octets) return bad("der: truncated");
    size = 0;
    for (std::size_t i = 0; i < octets; ++i) size = size << 8 | rest[2 + i];
    const bool minimal = size >= 0x80 && (octets == 1 || size >> (8 * (octets - 1)) != 0);
    if (!minimal) return bad("der: not the shortest length");
    head = 2 + octets;
  }
  if (rest.size() - head < size) return bad("der: truncated");
  at_ += head + size;
  return Any{rest[0], rest.subspan(head, size), rest.first(head + size)};
}

Result<ByteView> DerReader::element(std::uint8_t expected_tag) {
  if (peek_tag() != expected_tag) return bad("der: another type was expected");
  KEYWARD_TRY(found, any());
  return found.content;
}

Result<ByteView> DerReader::element_whole(std::uint8_t expected_tag) {
  if (peek_tag() != expected_tag) return bad("der: another type was expected");
  KEYWARD_TRY(found, any());
  return found.whole;
}

Result<DerReader> DerReader::nested(std::uint8_t expected_tag) {
  KEYWARD_TRY(content, element(expected_tag));
  return DerReader(content);
}

Result<ByteView> DerReader::oid() {
  KEYWARD_TRY(content, element(tag::kOid));
  if (!is_oid_content(content)) return bad("der: malformed object identifier");
  return content;
}

Result<Bytes> DerReader::unsigned_integer() {
  KEYWARD_TRY(content, element(tag::kInteger));
  if (content.empty()) return bad("der: empty integer");
  if ((content[0] & 0x80) != 0) return bad("der: negative integer");
  if (content.size() > 1 && content[0] == 0 && (content[1] & 0x80) == 0)
    return bad("der: not the shortest integer");
  if (content.size() > 1 && content[0] == 0) content = content.subspan(1);
  return to_bytes(content);
}

Result<std::uint64_t> DerReader::small_unsigned() {
  KEYWARD_TRY(octets, unsigned_integer());
  if (octets.size() > 8 || (octets.size() == 8 && (octets[0] & 0x80) != 0))
    return bad("der: integer out of range");
  std::uint64_t value = 0;
  for (const auto octet : octets) value = value << 8 | octet;
  return value;
}

Result<bool> DerReader::boolean() {
  KEYWARD_TRY(content, element(tag::kBoolean));
  if (content.size() != 1 || (content[0] != 0x00 && content[0] != 0xff))
    return bad("der: malformed boolean");
  return content[0] == 0xff;
}

Result<ByteView> DerReader::bit_string_octets() {
  KEYWARD_TRY(content, element(tag::kBitString));
  if (content.empty() || content[0] != 0) return bad("der: bit string is not whole octets");
  return content.subspan(1);
}

Result<std::int64_t> DerReader::time_ms() {
  const bool utc_time = peek_tag() == tag::kUtcTime;
  KEYWARD_TRY(content, element(utc_time ? tag::kUtcTime : tag::kGeneralizedTime));
  const std::size_t digits = utc_time ? 12 : 14;
  if (content.size() != digits + 1 || content.back() != 'Z')
    return bad("der: time is not in the form of RFC 5280");
  return read_time(text_of(content.first(digits)));
}

std::string oid_text(ByteView content) {
  if (!is_oid_content(content)) return {};
  std::string out;
  Decimal arc;
  for (const auto octet : content) {
    arc.push_7_bits(octet & 0x7f);
    if ((octet & 0x80) != 0) continue;
    if (out.empty()) {  // X.690 §8.19.4: the first two arcs share one number
      const std::uint32_t root = arc.below(40) ? 0 : arc.below(80) ? 1 : 2;
      out = std::to_string(root);
      arc.subtract(root * 40);
    }
    out += '.' + arc.text();
    arc = Decimal();
  }
  return out;
}

}  // namespace keyward::x509
