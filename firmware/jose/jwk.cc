// Owns JSON Web Keys: parse, canonical form, thumbprint. Must not know JWS or ACME.
#include "firmware/jose/jwk.h"

#include <array>

namespace keyward::jose {
namespace {

using crypto::KeyKind;
using crypto::PublicKey;

struct Curve {
  std::string_view name;
  KeyKind kind;
  std::size_t coordinate_bytes;
};
constexpr std::array<Curve, 3> kCurves{{
    {"P-256", KeyKind::kEcP256, 32},
    {"P-384", KeyKind::kEcP384, 48},
    {"P-521", KeyKind::kEcP521, 66},
}};

Result<Bytes> member_octets(const json::Value& value, std::string_view name) {
  auto text = value.require_string(name);
  if (!text) return fail(ErrorKind::kBadInput, "jwk: a required member is missing");
  auto octets = base64url_decode(*text);
  if (!octets) return fail(ErrorKind::kBadInput, "jwk: a member is not base64url");
  return std::move(*octets);
}

// RFC 7518 §2 Base64urlUInt: no leading zero octets, or one key would have several thumbprints.
Result<Bytes> member_unsigned(const json::Value& value, std::string_view name) {
  KEYWARD_TRY(octets, member_octets(value, name));
  if (octets.empty() || octets.front() == 0)
    return fail(ErrorKind::kBadInput, "jwk: an integer has a leading zero");
  return std::move(octets);
}

Result<PublicKey> read_key(const json::Value& value) {
  KEYWARD_TRY(kty, value.require_string("kty"));
  if (kty == "RSA") {
    KEYWARD_TRY(modulus, member_unsigned(value, "n"));
    KEYWARD_TRY(exponent, member_unsigned(value, "e"));
    return PublicKey::from_rsa(modulus, exponent);
  }
  if (kty != "EC" && kty != "OKP")
    return fail(ErrorKind::kRefused, "jwk: key type is not accepted");
  KEYWARD_TRY(crv, value.require_string("crv"));
  KEYWARD_TRY(x, member_octets(value, "x"));
  if (kty == "OKP") {
    if (crv != "Ed25519") return fail(ErrorKind::kRefused, "jwk: curve is not accepted");
    return PublicKey::from_ed25519(x);
  }
  for (const auto& curve : kCurves) {
    if (curve.name != crv) continue;
    KEYWARD_TRY(y, member_octets(value, "y"));
    return PublicKey::from_ec(curve.kind, x, y);
  }
  return fail(ErrorKind::kRefused, "jwk: curve is not accepted");
}

// Octets of the numbers inside the canonical SubjectPublicKeyInfo, whose form crypto fixes.
Result<std::string> canonical_of(const PublicKey& key) {
  const ByteView spki = key.spki_der();
  for (const auto& curve : kCurves) {
    if (curve.kind != key.kind()) continue;
    const auto y = spki.last(curve.coordinate_bytes);
    const auto x = spki.last(2 * curve.coordinate_bytes).first(curve.coordinate_bytes);
    return R"({"crv":")" + std::string(curve.name) + R"(","kty":"EC","x":")" + base64url_encode(x) +
           R"(","y":")" + base64url_encode(y) + R"("})";
  }
  if (key.kind() == KeyKind::kEd25519) {
    return R"({"crv":"Ed25519","kty":"OKP","x":")" + base64url_encode(spki.last(32)) + R"("})";
  }
  const auto numbers = key.rsa_numbers();
  if (!numbers) return fail(ErrorKind::kInternal, "jwk: a key without numbers");
  return R"({"e":")" + base64url_encode(numbers->exponent) + R"(","kty":"RSA","n":")" +
         base64url_encode(numbers->modulus) + R"("})";
}

}  // namespace

Jwk::Jwk(std::string canonical, crypto::PublicKey key)
    : canonical_(std::move(canonical)),
      thumbprint_(crypto::sha256(view_of(canonical_))),
      key_(std::move(key)) {}

Result<Jwk> Jwk::from_public_key(const crypto::PublicKey& key) {
  KEYWARD_TRY(canonical, canonical_of(key));
  return Jwk(std::move(canonical), key);
}

Result<Jwk> Jwk::from_json(const json::Value& value) {
  if (!value.is_object()) return fail(ErrorKind::kBadInput, "jwk: not an object");
  for (const std::string_view secret : {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}) {
    if (value.get(secret).exists()) return fail(ErrorKind::kRefused, "jwk: carries a private key");
  }
  KEYWARD_TRY(key, read_key(value));
  return from_public_key(key);
}

Result<Jwk> Jwk::from_canonical(std::string_view text) {
  KEYWARD_TRY(document, json::Document::parse(text, limits::kJwkBytesMax));
  auto jwk = from_json(document.root());
  if (jwk && jwk->canonical() != text)
    return fail(ErrorKind::kBadInput, "jwk: not in canonical form");
  return jwk;
}

std::string Jwk::thumbprint_text() const { return base64url_encode(thumbprint_); }

std::string key_authorization(std::string_view token, const Digest256& thumbprint) {
  return std::string(token) + "." + base64url_encode(thumbprint);
}

}  // namespace keyward::jose
