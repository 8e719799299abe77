// Owns the octets of SubjectPublicKeyInfo. One form per algorithm is accepted: named curve with an
// uncompressed point (RFC 5480), NULL parameters for RSA (RFC 3279 §2.3.1), none for Ed25519 (RFC
// 8410). Reading means: find the numbers, write the canonical form again, require equal octets.
#include <algorithm>

#include "firmware/crypto/openssl.h"

namespace keyward::crypto {
namespace {

constexpr std::uint8_t kP256Head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                      0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                      0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
constexpr std::uint8_t kP384Head[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                                      0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
                                      0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04};
constexpr std::uint8_t kP521Head[] = {0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                                      0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
                                      0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00, 0x04};
constexpr std::uint8_t kEd25519Head[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                         0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
constexpr std::uint8_t kRsaAlgorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                          0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
// The algorithm OIDs alone: to tell "malformed" from "not an algorithm that is read here".
constexpr std::uint8_t kEcOid[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
constexpr std::uint8_t kRsaOid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                    0xf7, 0x0d, 0x01, 0x01, 0x01};
constexpr std::uint8_t kEd25519Oid[] = {0x06, 0x03, 0x2b, 0x65, 0x70};

ByteView head_of(KeyKind kind) {
  switch (kind) {
    case KeyKind::kEcP256:
      return kP256Head;
    case KeyKind::kEcP384:
      return kP384Head;
    case KeyKind::kEcP521:
      return kP521Head;
    case KeyKind::kEd25519:
      return kEd25519Head;
    case KeyKind::kRsa:
      break;
  }
  return {};
}

bool starts_with(ByteView text, ByteView head) {
  return text.size() >= head.size() && equal(text.first(head.size()), head);
}

void append_tlv(Bytes& out, std::uint8_t tag, ByteView content) {
  out.push_back(tag);
  const auto size = content.size();
  if (size < 0x80) {
    out.push_back(static_cast<std::uint8_t>(size));
  } else if (size < 0x100) {
    out.insert(out.end(), {0x81, static_cast<std::uint8_t>(size)});
  } else {
    out.insert(out.end(),
               {0x82, static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
  }
  append(out, content);
}

void append_unsigned(Bytes& out, ByteView value) {
  Bytes content;
  if (value.empty() || (value.front() & 0x80) != 0) content.push_back(0);
  append(content, value);
  append_tlv(out, 0x02, content);
}

// Takes a TLV off the front without judging how its length was written: the comparison of the whole
// with the canonical form does that.
bool take(ByteView& in, std::uint8_t tag, ByteView& content) {
  if (in.size() < 2 || in[0] != tag) return false;
  std::size_t size = in[1];
  std::size_t head = 2;
  if (size >= 0x80) {
    const std::size_t length = size & 0x7f;
    if (length == 0 || length > 2 || in.size() < 2 + length) return false;
    size = 0;
    for (std::size_t i = 0; i < length; ++i) size = size << 8 | in[2 + i];
    head = 2 + length;
  }
  if (in.size() - head < size) return false;
  content = in.subspan(head, size);
  in = in.subspan(head + size);
  return true;
}

bool split_rsa(ByteView spki, Bytes& modulus, Bytes& exponent) {
  ByteView outer;
  ByteView algorithm;
  ByteView bits;
  ByteView key;
  ByteView n;
  ByteView e;
  if (!take(spki, 0x30, outer) || !spki.empty()) return false;
  if (!take(outer, 0x30, algorithm) || !take(outer, 0x03, bits) || bits.empty()) return false;
  bits = bits.subspan(1);
  if (!take(bits, 0x30, key) || !take(key, 0x02, n) || !take(key, 0x02, e)) return false;
  const auto strip = [](ByteView v) { return v.size() > 1 && v[0] == 0 ? v.subspan(1) : v; };
  modulus = to_bytes(strip(n));
  exponent = to_bytes(strip(e));
  return true;
}

// The AlgorithmIdentifier's first element, as written.
bool names_algorithm(ByteView spki, ByteView oid) {
  ByteView outer;
  ByteView algorithm;
  return take(spki, 0x30, outer) && take(outer, 0x30, algorithm) && starts_with(algorithm, oid);
}

}  // namespace

Bytes spki_from_ec(KeyKind kind, ByteView x, ByteView y) {
  Bytes out = to_bytes(head_of(kind));
  append(out, x);
  append(out, y);
  return out;
}

Bytes spki_from_ed25519(ByteView raw) {
  Bytes out = to_bytes(kEd25519Head);
  append(out, raw);
  return out;
}

Bytes spki_from_rsa(ByteView modulus, ByteView exponent) {
  Bytes numbers;
  append_unsigned(numbers, modulus);
  append_unsigned(numbers, exponent);
  Bytes bits{0};
  append_tlv(bits, 0x30, numbers);
  Bytes body = to_bytes(kRsaAlgorithm);
  append_tlv(body, 0x03, bits);
  Bytes out;
  append_tlv(out, 0x30, body);
  return out;
}

Result<PublicKey> PublicKey::from_spki(ByteView spki_der) {
  for (const auto kind : {KeyKind::kEcP256, KeyKind::kEcP384, KeyKind::kEcP521}) {
    const auto head = head_of(kind);
    if (!starts_with(spki_der, head)) continue;
    const auto size = coordinate_bytes(kind);
    const auto point = spki_der.subspan(head.size());
    if (point.size() != 2 * size)
      return fail(ErrorKind::kBadInput, "EC key: the point has another length");
    return from_ec(kind, point.first(size), point.subspan(size));
  }
  if (starts_with(spki_der, kEd25519Head))
    return from_ed25519(spki_der.subspan(sizeof kEd25519Head));
  if (names_algorithm(spki_der, kRsaOid)) {
    Bytes modulus;
    Bytes exponent;
    if (!split_rsa(spki_der, modulus, exponent))
      return fail(ErrorKind::kBadInput, "RSA key is not DER");
    if (!equal(spki_from_rsa(modulus, exponent), spki_der)) {
      return fail(ErrorKind::kBadInput, "RSA key is not in its one DER form");
    }
    return from_rsa(modulus, exponent);
  }
  if (names_algorithm(spki_der, kEcOid)) {
    return fail(ErrorKind::kRefused,
                "EC key: another curve, explicit parameters, or a compressed point");
  }
  if (names_algorithm(spki_der, kEd25519Oid))
    return fail(ErrorKind::kBadInput, "Ed25519 key is not DER");
  ByteView outer;
  ByteView algorithm;
  ByteView rest = spki_der;
  if (!take(rest, 0x30, outer) || !rest.empty() || !take(outer, 0x30, algorithm)) {
    return fail(ErrorKind::kBadInput, "public key is not a SubjectPublicKeyInfo");
  }
  return fail(ErrorKind::kRefused, "public key algorithm is not accepted");
}

std::optional<PublicKey::RsaNumbers> PublicKey::rsa_numbers() const {
  RsaNumbers out;
  if (kind() != KeyKind::kRsa || !split_rsa(spki_der(), out.modulus, out.exponent))
    return std::nullopt;
  return out;
}

}  // namespace keyward::crypto
