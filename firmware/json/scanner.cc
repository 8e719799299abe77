// Owns the strict pass over a JSON text. What cJSON would swallow is refused here (field notes,
// cJSON).
#include "firmware/json/scanner.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

#include "hal/base/limits.h"

namespace keyward::json {
namespace {

constexpr std::int64_t kIntegerMagnitudeMax = std::int64_t{1}
                                              << 53;  // RFC 8259 §6: exact in every reader

Status bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::string& out, unsigned code) {
  const auto push = [&](unsigned byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    push(code);
  } else if (code < 0x800) {
    push(0xC0 | code >> 6);
    push(0x80 | (code & 63));
  } else if (code < 0x10000) {
    push(0xE0 | code >> 12);
    push(0x80 | (code >> 6 & 63));
    push(0x80 | (code & 63));
  } else {
    push(0xF0 | code >> 18);
    push(0x80 | (code >> 12 & 63));
    push(0x80 | (code >> 6 & 63));
    push(0x80 | (code & 63));
  }
}

class Scanner {
 public:
  Scanner(std::string_view text, int items_max) : text_(text), items_max_(items_max) {}

  Status run() {
    skip_space();
    KEYWARD_CHECK(value(1));
    skip_space();
    return at_ == text_.size() ? Status{} : bad("json: octets after the value");
  }
  std::vector<std::string_view> take_numbers() { return std::move(numbers_); }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool eat(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() &&
           std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }
  Status literal(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return bad("json: unknown word");
    at_ += word.size();
    return {};
  }

  Status value(int depth) {
    if (depth > limits::kJsonDepthMax)
      return fail(ErrorKind::kExhausted, "json: nested too deeply");
    if (++items_ > items_max_)
      return fail(ErrorKind::kExhausted, "json: too many items");
    switch (peek()) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"': {
        std::string ignored;
        return string(ignored);
      }
      case 't':
        return literal("true");
      case 'f':
        return literal("false");
      case 'n':
        return literal("null");
      default:
        return number();
    }
  }

  Status object(int depth) {
    ++at_;
    std::vector<std::string> keys;
    skip_space();
    if (eat('}')) return {};
    while (true) {
      skip_space();
      if (peek() != '"') return bad("json: a member name was expected");
      KEYWARD_CHECK(string(keys.emplace_back()));
      skip_space();
      if (!eat(':')) return bad("json: a colon was expected");
      skip_space();
      KEYWARD_CHECK(value(depth + 1));
      skip_space();
      if (eat(',')) continue;
      if (eat('}')) break;
      return bad("json: a comma or a closing brace was expected");
    }
    // Compared after unescaping: "a" and "\u0061" are one name.
    std::ranges::sort(keys);
    return std::ranges::adjacent_find(keys) == keys.end() ? Status{}
                                                          : bad("json: duplicate member");
  }

  Status array(int depth) {
    ++at_;
    skip_space();
    if (eat(']')) return {};
    while (true) {
      skip_space();
      KEYWARD_CHECK(value(depth + 1));
      skip_space();
      if (eat(',')) continue;
      return eat(']') ? Status{} : bad("json: a comma or a closing bracket was expected");
    }
  }

  Status string(std::string& out) {
    ++at_;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        return {};
      }
      if (c < 0x20) return bad("json: control character in a string");
      if (c == '\\') {
        KEYWARD_CHECK(escape(out));
      } else if (c < 0x80) {
        out += static_cast<char>(c);
        ++at_;
      } else {
        KEYWARD_CHECK(utf8(out));
      }
    }
    return bad("json: unfinished string");
  }

  Status escape(std::string& out) {
    ++at_;
    const char c = peek();
    ++at_;
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    if (const auto index = kFrom.find(c); c != '\0' && index != std::string_view::npos) {
      out += kTo[index];
      return {};
    }
    if (c != 'u') return bad("json: unknown escape");
    KEYWARD_TRY(first, hex4());
    if (first == 0) return bad("json: U+0000 in a string");
    if (first >= 0xDC00 && first <= 0xDFFF) return bad("json: lone surrogate");
    if (first < 0xD800 || first > 0xDBFF) {
      append_utf8(out, first);
      return {};
    }
    if (!eat('\\') || !eat('u')) return bad("json: lone surrogate");
    KEYWARD_TRY(second, hex4());
    if (second < 0xDC00 || second > 0xDFFF) return bad("json: lone surrogate");
    append_utf8(out, 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00));
    return {};
  }

  Result<unsigned> hex4() {
    if (text_.size() - std::min(at_, text_.size()) < 4)
      return fail(ErrorKind::kBadInput, "json: short escape");
    unsigned code = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, begin + 4, code, 16);
    if (error != std::errc{} || end != begin + 4)
      return fail(ErrorKind::kBadInput, "json: bad \\u escape");
    at_ += 4;
    return code;
  }

  // RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF.
  Status utf8(std::string& out) {
    const auto byte = [&](std::size_t i) {
      return i < text_.size() ? static_cast<unsigned char>(text_[i]) : 0U;
    };
    const unsigned first = byte(at_);
    const std::size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                               : first >= 0xE0 && first <= 0xEF ? 3
                               : first >= 0xF0 && first <= 0xF4 ? 4
                                                                : 0;
    if (length == 0) return bad("json: invalid UTF-8");
    unsigned code = first & (0x7FU >> length);
    for (std::size_t i = 1; i < length; ++i) {
      if ((byte(at_ + i) & 0xC0) != 0x80) return bad("json: invalid UTF-8");
      code = code << 6 | (byte(at_ + i) & 63);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
      return bad("json: invalid UTF-8");
    out.append(text_.substr(at_, length));
    at_ += length;
    return {};
  }

  Status digits() {
    if (!is_digit(peek())) return bad("json: a digit was expected");
    while (is_digit(peek())) ++at_;
    return {};
  }

  Status number() {
    const auto begin = at_;
    const bool minus = eat('-');
    if (!eat('0'))
      KEYWARD_CHECK(digits());  // a digit after a leading zero fails at the next separator
    const auto integer_end = at_;
    if (eat('.')) KEYWARD_CHECK(digits());
    if (eat('e') || eat('E')) {
      if (!eat('+')) eat('-');
      KEYWARD_CHECK(digits());
    }
    const auto token = text_.substr(begin, at_ - begin);
    numbers_.push_back(token);
    return integer_end == at_ ? check_integer(token, minus) : check_fraction(token);
  }

  static Status check_integer(std::string_view token, bool minus) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), number);
    if (error != std::errc{} || number > kIntegerMagnitudeMax || number < -kIntegerMagnitudeMax) {
      return bad("json: integer beyond 2^53");
    }
    return minus && number == 0 ? bad("json: minus zero") : Status{};
  }

  static Status check_fraction(std::string_view token) {
    double number = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), number);
    if (error != std::errc{} || !std::isfinite(number)) return bad("json: number out of range");
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int items_max_;
  int items_ = 0;
  std::vector<std::string_view> numbers_;
};

}  // namespace

Result<std::vector<std::string_view>> scan(std::string_view text, int items_max) {
  Scanner scanner(text, items_max);
  KEYWARD_CHECK(scanner.run());
  return scanner.take_numbers();
}

}  // namespace keyward::json
