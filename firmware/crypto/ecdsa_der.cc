// Owns the two spellings of an ECDSA signature: r||s (RFC 7518 §3.4) and ECDSA-Sig-Value (RFC 3279
// §2.2.3).
#include <algorithm>

#include "firmware/crypto/crypto.h"

namespace keyward::crypto {
namespace {

constexpr std::size_t kCoordinateBytesMax = 66;  // P-521

void append_integer(Bytes& out, ByteView value) {
  while (value.size() > 1 && value.front() == 0) value = value.subspan(1);
  const bool sign_octet = (value.front() & 0x80) != 0;
  out.push_back(0x02);
  out.push_back(static_cast<std::uint8_t>(value.size() + (sign_octet ? 1 : 0)));
  if (sign_octet) out.push_back(0);
  append(out, value);
}

// Takes one minimal, positive INTEGER of at most 67 octets off the front.
bool take_integer(ByteView& in, ByteView& value) {
  if (in.size() < 3 || in[0] != 0x02 || in[1] == 0 || in[1] > kCoordinateBytesMax + 1) return false;
  const std::size_t size = in[1];
  if (in.size() < 2 + size) return false;
  value = in.subspan(2, size);
  in = in.subspan(2 + size);
  if ((value[0] & 0x80) != 0) return false;
  if (size > 1 && value[0] == 0) {
    if ((value[1] & 0x80) == 0) return false;
    value = value.subspan(1);
  }
  return true;
}

}  // namespace

Result<Bytes> ecdsa_raw_to_der(ByteView raw) {
  if (raw.empty() || raw.size() % 2 != 0 || raw.size() > 2 * kCoordinateBytesMax) {
    return fail(ErrorKind::kBadInput, "ecdsa signature has an impossible length");
  }
  Bytes body;
  body.reserve(raw.size() + 8);
  append_integer(body, raw.first(raw.size() / 2));
  append_integer(body, raw.subspan(raw.size() / 2));
  Bytes out{0x30};
  if (body.size() >= 0x80) out.push_back(0x81);
  out.push_back(static_cast<std::uint8_t>(body.size()));
  append(out, body);
  return out;
}

Result<Bytes> ecdsa_der_to_raw(ByteView der, std::size_t coordinate_bytes) {
  const auto malformed = [] { return fail(ErrorKind::kBadInput, "ecdsa signature is not DER"); };
  if (der.size() < 8 || der[0] != 0x30 || coordinate_bytes > kCoordinateBytesMax)
    return malformed();
  const bool long_form = der[1] == 0x81;
  const std::size_t size = long_form ? der[2] : der[1];
  if ((long_form && size < 0x80) || (!long_form && size >= 0x80)) return malformed();
  ByteView in = der.subspan(long_form ? 3 : 2);
  if (in.size() != size) return malformed();
  ByteView r;
  ByteView s;
  if (!take_integer(in, r) || !take_integer(in, s) || !in.empty()) return malformed();
  if (r.size() > coordinate_bytes || s.size() > coordinate_bytes) return malformed();
  Bytes out(2 * coordinate_bytes);
  std::ranges::copy(r, out.begin() + static_cast<std::ptrdiff_t>(coordinate_bytes - r.size()));
  std::ranges::copy(s, out.end() - static_cast<std::ptrdiff_t>(s.size()));
  return out;
}

}  // namespace keyward::crypto
