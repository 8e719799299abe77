// Owns the DER writer. Must not know X.509.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "firmware/x509/der.h"
#include "hal/base/limits.h"

namespace keyward::x509 {
namespace {

void append_head(Bytes& out, std::uint8_t tag, std::size_t size) {
  out.push_back(tag);
  if (size < 0x80) {
    out.push_back(static_cast<std::uint8_t>(size));
    return;
  }
  int octets = 1;
  while (size >> (8 * octets) != 0) ++octets;
  out.push_back(static_cast<std::uint8_t>(0x80 | octets));
  for (int i = octets - 1; i >= 0; --i) out.push_back(static_cast<std::uint8_t>(size >> (8 * i)));
}

// Divides a decimal text by 128 in place and gives the remainder.
unsigned divide_by_128(std::string& digits) {
  unsigned remainder = 0;
  for (char& digit : digits) {
    const unsigned value = remainder * 10 + static_cast<unsigned>(digit - '0');
    digit = static_cast<char>('0' + value / 128);
    remainder = value % 128;
  }
  const auto first = digits.find_first_not_of('0');
  digits.erase(0, first == std::string::npos ? digits.size() : first);
  return remainder;
}

// X.690 §8.19.2: base 128, most significant first, the high bit on all but the last.
Bytes encode_arc(std::string digits) {
  Bytes reversed;
  do {
    const auto septet = static_cast<std::uint8_t>(divide_by_128(digits));
    reversed.push_back(static_cast<std::uint8_t>(septet | (reversed.empty() ? 0 : 0x80)));
  } while (!digits.empty());
  return Bytes(reversed.rbegin(), reversed.rend());
}

bool is_component(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The decimal text of `digits` + 80, for the arcs under 2.
std::string add_80(std::string digits) {
  unsigned carry = 80;
  for (auto digit = digits.rbegin(); digit != digits.rend() && carry != 0; ++digit) {
    const unsigned value = static_cast<unsigned>(*digit - '0') + carry;
    *digit = static_cast<char>('0' + value % 10);
    carry = value / 10;
  }
  return carry == 0 ? digits : std::to_string(carry) + digits;
}

struct CivilTime {
  int year, month, day, hour, minute, second;
};

CivilTime civil_from_ms(std::int64_t utc_ms) {
  std::int64_t seconds = utc_ms / 1'000;
  if (utc_ms % 1'000 < 0) --seconds;
  std::int64_t days = seconds / 86'400;
  std::int64_t rest = seconds % 86'400;
  if (rest < 0) {
    rest += 86'400;
    --days;
  }
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const auto day_of_era = static_cast<int>(days - era * 146'097);
  const int year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int shifted = (5 * day_of_year + 2) / 153;
  const int month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {static_cast<int>(year_of_era + era * 400) + (month <= 2 ? 1 : 0),
          month,
          day_of_year - (153 * shifted + 2) / 5 + 1,
          static_cast<int>(rest / 3'600),
          static_cast<int>(rest / 60 % 60),
          static_cast<int>(rest % 60)};
}

}  // namespace

Bytes tlv(std::uint8_t tag, ByteView content) { return tlv(tag, {content}); }

Bytes tlv(std::uint8_t tag, std::initializer_list<ByteView> parts) {
  std::size_t size = 0;
  for (const auto part : parts) size += part.size();
  Bytes out;
  out.reserve(size + 6);
  append_head(out, tag, size);
  for (const auto part : parts) append(out, part);
  return out;
}

Bytes der_sequence(std::initializer_list<ByteView> parts) { return tlv(tag::kSequence, parts); }

Result<Bytes> der_oid_checked(std::string_view dotted) {
  const auto bad = [] { return fail(ErrorKind::kBadInput, "der: not a dotted object identifier"); };
  // Bounds the quadratic division below.
  if (dotted.size() > limits::kDeviceIdentifierBytesMax) return bad();
  const auto dot = dotted.find('.');
  if (dot != 1 || dotted[0] < '0' || dotted[0] > '2') return bad();
  const char root = dotted[0];
  dotted.remove_prefix(2);
  Bytes content;
  for (bool more = true; more;) {
    const auto next = dotted.find('.');
    const auto component = dotted.substr(0, next);
    if (!is_component(component)) return bad();
    if (!content.empty()) {
      append(content, encode_arc(std::string(component)));
    } else if (root == '2') {
      append(content, encode_arc(add_80(std::string(component))));
    } else {
      if (component.size() > 2 || (component.size() == 2 && component > "39")) return bad();
      content.push_back(
          static_cast<std::uint8_t>((root - '0') * 40 + std::stoi(std::string(component))));
    }
    more = next != std::string_view::npos;
    if (more) dotted.remove_prefix(next + 1);
  }
  return tlv(tag::kOid, content);
}

Bytes der_oid(std::string_view dotted) {
  auto out = der_oid_checked(dotted);
  if (!out) std::abort();  // a constant of the program is wrong
  return std::move(*out);
}

Bytes der_unsigned(ByteView big_endian) {
  while (big_endian.size() > 1 && big_endian.front() == 0) big_endian = big_endian.subspan(1);
  static constexpr std::uint8_t kZero[] = {0};
  const bool sign_octet = big_endian.empty() || (big_endian.front() & 0x80) != 0;
  return tlv(tag::kInteger, {sign_octet ? ByteView(kZero) : ByteView(), big_endian});
}

Bytes der_unsigned(std::uint64_t value) {
  std::array<std::uint8_t, 8> octets{};
  for (std::size_t i = 0; i < octets.size(); ++i)
    octets[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  return der_unsigned(ByteView(octets));
}

Bytes der_bit_string(ByteView octets) {
  static constexpr std::uint8_t kNoUnusedBits[] = {0};
  return tlv(tag::kBitString, {kNoUnusedBits, octets});
}

Bytes der_octet_string(ByteView octets) { return tlv(tag::kOctetString, octets); }

Bytes der_boolean(bool value) {
  const std::uint8_t octet = value ? 0xff : 0x00;
  return tlv(tag::kBoolean, ByteView(&octet, 1));
}

// RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on.
Bytes der_time(std::int64_t utc_ms) {
  const auto time = civil_from_ms(utc_ms);
  if (time.year < 1950 || time.year > 9999) std::abort();  // no certificate can say it
  const bool utc_time = time.year < 2050;
  char text[32];
  const int size = std::snprintf(
      text, sizeof text, utc_time ? "%02d%02d%02d%02d%02d%02dZ" : "%04d%02d%02d%02d%02d%02dZ",
      utc_time ? time.year % 100 : time.year, time.month, time.day, time.hour, time.minute,
      time.second);
  return tlv(utc_time ? tag::kUtcTime : tag::kGeneralizedTime,
             view_of({text, static_cast<std::size_t>(size)}));
}

}  // namespace keyward::x509
