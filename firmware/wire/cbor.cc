#include "firmware/wire/cbor.h"

namespace keyward::wire {
namespace {

constexpr unsigned kUnsigned = 0, kNegative = 1, kByteString = 2, kTextString = 3, kArray = 4,
                   kMap = 5;

// The length of the UTF-8 sequence at `at`, or 0 if it is not a valid one (RFC 3629 §4).
std::size_t utf8_sequence(ByteView text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned { return i < text.size() ? text[i] : 0; };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = text[at];
  const unsigned second = byte(at + 1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(at + 1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool second_ok = first == 0xE0   ? second >= 0xA0 && second <= 0xBF
                           : first == 0xED ? second >= 0x80 && second <= 0x9F
                                           : tail(at + 1);
    return second_ok && tail(at + 2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool second_ok = first == 0xF0   ? second >= 0x90 && second <= 0xBF
                           : first == 0xF4 ? second >= 0x80 && second <= 0x8F
                                           : tail(at + 1);
    return second_ok && tail(at + 2) && tail(at + 3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool is_valid_utf8(ByteView text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto length = utf8_sequence(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

void CborWriter::head(unsigned major, std::uint64_t value) {
  const auto first = static_cast<std::uint8_t>(major << 5);
  if (value < 24) {
    out_.push_back(static_cast<std::uint8_t>(first | value));
    return;
  }
  const int length = value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffff'ffff ? 4 : 8;
  const int info = length == 1 ? 24 : length == 2 ? 25 : length == 4 ? 26 : 27;
  out_.push_back(static_cast<std::uint8_t>(first | info));
  for (int i = length - 1; i >= 0; --i) out_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void CborWriter::integer(std::int64_t value) {
  if (value >= 0) {
    head(kUnsigned, static_cast<std::uint64_t>(value));
  } else {
    head(kNegative, static_cast<std::uint64_t>(-(value + 1)));
  }
}

void CborWriter::bytes(ByteView value) {
  head(kByteString, value.size());
  append(out_, value);
}

void CborWriter::text(std::string_view value) {
  head(kTextString, value.size());
  append(out_, view_of(value));
}

Result<std::uint64_t> CborReader::head(unsigned major) {
  if (at_ >= in_.size()) return fail(ErrorKind::kBadInput, "cbor: truncated");
  const unsigned first = in_[at_];
  if (first >> 5 != major)
    return fail(ErrorKind::kBadInput, "cbor: another type was expected", first);
  const unsigned info = first & 31;
  if (info < 24) {
    ++at_;
    return info;
  }
  if (info > 27) return fail(ErrorKind::kBadInput, "cbor: indefinite or reserved length");
  const std::size_t length = std::size_t{1} << (info - 24);
  if (in_.size() - at_ - 1 < length) return fail(ErrorKind::kBadInput, "cbor: truncated");
  std::uint64_t value = 0;
  for (std::size_t i = 1; i <= length; ++i) value = value << 8 | in_[at_ + i];
  const bool minimal = length == 1 ? value >= 24 : value >> (length * 4) != 0;
  if (!minimal) return fail(ErrorKind::kBadInput, "cbor: not the shortest form");
  at_ += 1 + length;
  return value;
}

Result<ByteView> CborReader::take(std::uint64_t size, std::size_t bytes_max) {
  if (size > in_.size() - at_) return fail(ErrorKind::kBadInput, "cbor: truncated");
  if (size > bytes_max) return fail(ErrorKind::kBadInput, "cbor: string over its limit");
  const ByteView out = in_.subspan(at_, size);
  at_ += size;
  return out;
}

Result<std::uint64_t> CborReader::unsigned_integer() { return head(kUnsigned); }

Result<std::int64_t> CborReader::integer() {
  const bool negative = at_ < in_.size() && in_[at_] >> 5 == kNegative;
  KEYWARD_TRY(value, head(negative ? kNegative : kUnsigned));
  if (value > INT64_MAX) return fail(ErrorKind::kBadInput, "cbor: integer out of range");
  const auto magnitude = static_cast<std::int64_t>(value);
  return negative ? -1 - magnitude : magnitude;
}

Result<ByteView> CborReader::bytes(std::size_t bytes_max) {
  KEYWARD_TRY(size, head(kByteString));
  return take(size, bytes_max);
}

Result<std::string_view> CborReader::text(std::size_t bytes_max) {
  KEYWARD_TRY(size, head(kTextString));
  KEYWARD_TRY(view, take(size, bytes_max));
  if (!is_valid_utf8(view)) return fail(ErrorKind::kBadInput, "cbor: text is not UTF-8");
  return text_of(view);
}

Result<std::uint64_t> CborReader::array(std::uint64_t count_max) {
  KEYWARD_TRY(count, head(kArray));
  if (count > count_max || count > in_.size() - at_) {
    return fail(ErrorKind::kBadInput, "cbor: array over its limit");
  }
  return count;
}

Result<std::uint64_t> CborReader::map(std::uint64_t count_max) {
  KEYWARD_TRY(count, head(kMap));
  if (count > count_max || count > (in_.size() - at_) / 2) {
    return fail(ErrorKind::kBadInput, "cbor: map over its limit");
  }
  return count;
}

Result<bool> CborReader::boolean() {
  if (at_ >= in_.size()) return fail(ErrorKind::kBadInput, "cbor: truncated");
  const auto byte = in_[at_];
  if (byte != 0xf4 && byte != 0xf5)
    return fail(ErrorKind::kBadInput, "cbor: a boolean was expected", byte);
  ++at_;
  return byte == 0xf5;
}

}  // namespace keyward::wire
