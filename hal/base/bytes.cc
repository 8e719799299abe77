#include "hal/base/bytes.h"

#include <algorithm>

#include <string.h>

namespace keyward {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr char kUrlAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr char kStdAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::array<std::int8_t, 256> make_url_table() {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (int i = 0; i < 64; ++i)
    table[static_cast<unsigned char>(kUrlAlphabet[i])] = static_cast<std::int8_t>(i);
  return table;
}
constexpr auto kUrlTable = make_url_table();

std::string encode64(ByteView in, const char* alphabet, bool pad) {
  std::string out;
  out.reserve((in.size() + 2) / 3 * 4);
  std::size_t i = 0;
  for (; i + 2 < in.size(); i += 3) {
    const unsigned v = in[i] << 16 | in[i + 1] << 8 | in[i + 2];
    out += {alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], alphabet[v & 63]};
  }
  if (in.size() - i == 1) {
    const unsigned v = in[i] << 16;
    out += {alphabet[v >> 18], alphabet[v >> 12 & 63]};
    if (pad) out += "==";
  } else if (in.size() - i == 2) {
    const unsigned v = in[i] << 16 | in[i + 1] << 8;
    out += {alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63]};
    if (pad) out += '=';
  }
  return out;
}

}  // namespace

bool equal(ByteView a, ByteView b) { return std::ranges::equal(a, b); }

bool equal_constant_time(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= a[i] ^ b[i];
  return difference == 0;
}

std::string hex_encode(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const auto b : bytes) out += {kHex[b >> 4], kHex[b & 15]};
  return out;
}

Result<Bytes> hex_decode(std::string_view text) {
  if (text.size() % 2 != 0) return fail(ErrorKind::kBadInput, "hex text has an odd length");
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return fail(ErrorKind::kBadInput, "hex text has a foreign character");
    out.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return out;
}

std::string base64url_encode(ByteView bytes) { return encode64(bytes, kUrlAlphabet, false); }
std::string base64_encode(ByteView bytes) { return encode64(bytes, kStdAlphabet, true); }

Result<Bytes> base64url_decode(std::string_view text) {
  if (text.size() % 4 == 1)
    return fail(ErrorKind::kBadInput, "base64url text has an impossible length");
  Bytes out;
  out.reserve(text.size() * 3 / 4);
  unsigned accumulator = 0;
  int bits = 0;
  for (const char c : text) {
    const int value = kUrlTable[static_cast<unsigned char>(c)];
    if (value < 0) return fail(ErrorKind::kBadInput, "base64url text has a foreign character");
    accumulator = accumulator << 6 | static_cast<unsigned>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<std::uint8_t>(accumulator >> bits & 0xff));
    }
  }
  // One byte string must have one text only, or a signature cache could be confused.
  if ((accumulator & ((1U << bits) - 1)) != 0) {
    return fail(ErrorKind::kBadInput, "base64url text has non-zero unused bits");
  }
  return out;
}

Result<Bytes> base64_decode(std::string_view text) {
  if (text.find_first_of("-_") != text.npos)
    return fail(ErrorKind::kBadInput, "base64 text has a foreign character");
  const auto end = text.find('=');
  const auto padding = end == text.npos ? 0 : text.size() - end;
  if (padding > 0 && (padding > 2 || text.size() % 4 != 0))
    return fail(ErrorKind::kBadInput, "base64 text has other padding than belongs there");
  std::string url(text.substr(0, end));
  if (padding == 2 && text.back() != '=')
    return fail(ErrorKind::kBadInput, "base64 text has a foreign character");
  std::ranges::replace(url, '+', '-');
  std::ranges::replace(url, '/', '_');
  return base64url_decode(url);
}

void SecretBytes::wipe() {
  if (!bytes_.empty()) ::explicit_bzero(bytes_.data(), bytes_.size());
  bytes_.clear();
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    wipe();
    bytes_ = std::move(other.bytes_);
    other.wipe();
  }
  return *this;
}

}  // namespace keyward
