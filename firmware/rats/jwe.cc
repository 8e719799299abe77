// Owns the opening and making of compact JWE. Must not know what is inside.
#include "firmware/rats/jwe.h"

#include <algorithm>
#include <array>

#include "firmware/crypto/encrypt.h"
#include "firmware/crypto/envelope.h"
#include "firmware/jose/jwk.h"
#include "firmware/json/json.h"
#include "hal/base/limits.h"
#include "hal/base/rng.h"

namespace keyward::rats {
namespace {

using crypto::KeyKind;

constexpr std::string_view kEnc = "A256GCM";
constexpr std::size_t kPointCoordinateBytes = 32;
constexpr std::size_t kPartyInfoBytesMax = 256;

struct AlgorithmRow {
  JweAlgorithm algorithm;
  std::string_view name;
  KeyKind kind;
};
constexpr std::array<AlgorithmRow, 3> kAlgorithms{{
    {JweAlgorithm::kEcdhEs, "ECDH-ES", KeyKind::kEcP256},
    {JweAlgorithm::kEcdhEsA256Kw, "ECDH-ES+A256KW", KeyKind::kEcP256},
    {JweAlgorithm::kRsaOaep256, "RSA-OAEP-256", KeyKind::kRsa},
}};

tl::unexpected<Refusal> malformed(const char* detail) { return refuse("jwe.malformed", detail); }

// One answer for all that a private key was needed to find out (RFC 7516 §11.5).
tl::unexpected<Refusal> not_opened() {
  return refuse("jwe.decrypt", "the JWE does not open with the key that it names");
}

struct Header {
  const AlgorithmRow* row = nullptr;
  std::optional<std::string> kid;
  std::string cty;
  Bytes apu;
  Bytes apv;
  Bytes ephemeral;  // 0x04 || x || y; of ECDH
};

Appraised<void> read_epk(const json::Value& root, Header& out) {
  if (out.row->kind != KeyKind::kEcP256) return {};
  const auto epk = root.get("epk");
  // Jwk checks that the point is on its curve (RFC 7516 §11, invalid curve attack).
  auto jwk = epk.is_object() ? jose::Jwk::from_json(epk)
                             : Result<jose::Jwk>(fail(ErrorKind::kBadInput, "no epk"));
  if (!jwk || jwk->key().kind() != KeyKind::kEcP256)
    return refuse("jwe.epk", "epk is not a public key on P-256");
  const auto point = crypto::ec_coordinates(jwk->key());
  if (!point) return refuse("jwe.epk", "epk is not a public key on P-256");
  out.ephemeral = {4};
  append(out.ephemeral, point->x);
  append(out.ephemeral, point->y);
  return {};
}

Appraised<void> read_party(const json::Value& root, std::string_view name, Bytes& out) {
  const auto value = root.get(name);
  if (!value.exists()) return {};
  auto octets = base64url_decode(value.string());
  if (!value.is_string() || !octets || octets->size() > kPartyInfoBytesMax)
    return malformed("apu or apv is not short base64url");
  out = std::move(*octets);
  return {};
}

Appraised<Header> read_header(std::string_view header_b64) {
  const auto octets = base64url_decode(header_b64);
  if (!octets) return malformed("the header is not base64url");
  const auto document = json::Document::parse(text_of(*octets), limits::kJwsProtectedBytesMax);
  if (!document || !document->root().is_object())
    return malformed("the header is not a JSON object");
  const auto root = document->root();
  if (root.get("crit").exists())
    return refuse("jwe.crit", "crit names extensions, and none is understood here");
  if (root.get("zip").exists()) return refuse("jwe.zip", "compressed content is not accepted");
  Header out;
  const auto* row = std::ranges::find(kAlgorithms, root.get("alg").string(), &AlgorithmRow::name);
  if (row == kAlgorithms.end())
    return refuse("jwe.alg", "alg is none of ECDH-ES, ECDH-ES+A256KW, RSA-OAEP-256");
  out.row = row;
  if (root.get("enc").string() != kEnc) return refuse("jwe.enc", "enc is not A256GCM");
  const auto kid = root.get("kid");
  if (kid.exists()) {
    if (!kid.is_string()) return malformed("kid is not text");
    out.kid = std::string(kid.string());
  }
  const auto cty = root.get("cty");
  out.cty = cty.string();
  if (out.cty.starts_with("application/"))
    out.cty.erase(0, std::string_view("application/").size());
  if (cty.exists() && out.cty != "cmw+json" && out.cty != "cmw+cbor")
    return refuse("jwe.cty", "cty is neither cmw+json nor cmw+cbor");
  KEYWARD_APPRAISE(read_party(root, "apu", out.apu));
  KEYWARD_APPRAISE(read_party(root, "apv", out.apv));
  KEYWARD_APPRAISE(read_epk(root, out));
  return out;
}

struct Parts {
  std::string_view header_b64;
  Bytes encrypted_key, nonce, ciphertext, tag;
};

Appraised<Parts> split(std::string_view compact) {
  std::array<std::string_view, 5> texts;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto dot = compact.find('.');
    if ((dot == compact.npos) != (i + 1 == texts.size())) return malformed("not a compact JWE");
    texts[i] = compact.substr(0, dot);
    if (dot != compact.npos) compact.remove_prefix(dot + 1);
  }
  Parts out{texts[0], {}, {}, {}, {}};
  const std::array<Bytes*, 4> targets{&out.encrypted_key, &out.nonce, &out.ciphertext, &out.tag};
  for (std::size_t i = 0; i < targets.size(); ++i) {
    auto octets = base64url_decode(texts[i + 1]);
    if (!octets) return malformed("a part is not base64url");
    *targets[i] = std::move(*octets);
  }
  if (out.nonce.size() != crypto::kGcmNonceBytes || out.tag.size() != crypto::kGcmTagBytes)
    return malformed("the initialization vector or the tag has another size than A256GCM's");
  return out;
}

Appraised<DecryptionKey*> choose(const Header& header, const std::vector<DecryptionKey*>& keys) {
  DecryptionKey* found = nullptr;
  for (auto* key : keys) {
    if (key->kind() != header.row->kind || (header.kid && key->kid() != *header.kid)) continue;
    if (found != nullptr) return refuse("jwe.kid", "the JWE names no key, and several fit");
    found = key;
  }
  if (found == nullptr) return refuse("jwe.kid", "no key here has this kid and fits alg");
  return found;
}

// The content key; kUnavailable alone is told apart.
Result<SecretBytes> content_key(const Header& header, const Parts& parts, DecryptionKey& key) {
  if (header.row->algorithm == JweAlgorithm::kRsaOaep256) {
    KEYWARD_TRY(cek, key.unwrap_rsa(parts.encrypted_key));
    if (cek.size() != crypto::kAesKeyBytes) return fail(ErrorKind::kRefused, "jwe: key size");
    return std::move(cek);
  }
  const bool direct = header.row->algorithm == JweAlgorithm::kEcdhEs;
  // RFC 7516 §5.2 step 6 and §4.6: the encrypted key is empty exactly in direct agreement.
  if (direct != parts.encrypted_key.empty()) return fail(ErrorKind::kRefused, "jwe: encrypted key");
  KEYWARD_TRY(shared, key.agree(header.ephemeral));
  if (shared.size() != kPointCoordinateBytes) return fail(ErrorKind::kRefused, "jwe: agreement");
  auto derived =
      concat_kdf(shared.view(), direct ? kEnc : header.row->name, header.apu, header.apv, 256);
  if (direct) return derived;
  KEYWARD_TRY(cek, crypto::aes256_key_unwrap(derived.view(), parts.encrypted_key));
  if (cek.size() != crypto::kAesKeyBytes) return fail(ErrorKind::kRefused, "jwe: key size");
  return std::move(cek);
}

void append_u32(Bytes& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}

void append_sized(Bytes& out, ByteView part) {
  append_u32(out, static_cast<std::uint32_t>(part.size()));
  append(out, part);
}

struct KeyPart {
  SecretBytes cek;
  Bytes encrypted_key;
};

Result<KeyPart> make_key(const crypto::PublicKey& recipient, const AlgorithmRow& row,
                         json::Writer& header) {
  KeyPart out{SecretBytes(random_bytes(crypto::kAesKeyBytes)), {}};
  if (row.algorithm == JweAlgorithm::kRsaOaep256) {
    KEYWARD_TRY(wrapped, crypto::rsa_oaep_encrypt(recipient, crypto::HashAlgorithm::kSha256, {},
                                                  out.cek.view()));
    out.encrypted_key = std::move(wrapped);
    return out;
  }
  KEYWARD_TRY(agreement, crypto::agree_with_ephemeral(recipient));
  header.key("epk")
      .begin_object()
      .member("crv", "P-256")
      .member("kty", "EC")
      .member("x", base64url_encode(agreement.x))
      .member("y", base64url_encode(agreement.y))
      .end_object();
  const bool direct = row.algorithm == JweAlgorithm::kEcdhEs;
  auto derived = concat_kdf(agreement.shared.view(), direct ? kEnc : row.name, {}, {}, 256);
  if (direct) {
    out.cek = std::move(derived);
    return out;
  }
  KEYWARD_TRY(wrapped, crypto::aes256_key_wrap(derived.view(), out.cek.view()));
  out.encrypted_key = std::move(wrapped);
  return out;
}

}  // namespace

Result<SecretBytes> SoftwareDecryptionKey::agree(ByteView ephemeral) {
  if (ephemeral.size() != 1 + 2 * kPointCoordinateBytes)
    return fail(ErrorKind::kBadInput, "jwe: point size");
  KEYWARD_TRY(peer, crypto::PublicKey::from_ec(KeyKind::kEcP256,
                                               ephemeral.subspan(1, kPointCoordinateBytes),
                                               ephemeral.last(kPointCoordinateBytes)));
  return crypto::ecdh(key_, peer);
}

Result<SecretBytes> SoftwareDecryptionKey::unwrap_rsa(ByteView encrypted) {
  return crypto::rsa_oaep_decrypt(key_, encrypted);
}

SecretBytes concat_kdf(ByteView shared_secret, std::string_view algorithm_id, ByteView apu,
                       ByteView apv, std::uint32_t key_bits) {
  Bytes input;
  append_u32(input, 1);  // the only round: 256 bits at most
  append(input, shared_secret);
  append_sized(input, view_of(algorithm_id));
  append_sized(input, apu);
  append_sized(input, apv);
  append_u32(input, key_bits);
  const auto digest = crypto::sha256(input);
  std::ranges::fill(input, std::uint8_t{0});
  return SecretBytes(ByteView(digest).first(std::min<std::size_t>(key_bits / 8, digest.size())));
}

Appraised<OpenedJwe> open_jwe(std::string_view compact, const std::vector<DecryptionKey*>& keys) {
  if (compact.size() > limits::kEvidenceBytesMax)
    return refuse("jwe.size", "the JWE is larger than evidence may be");
  auto parts = split(compact);
  if (!parts) return tl::unexpected(parts.error());
  auto header = read_header(parts->header_b64);
  if (!header) return tl::unexpected(header.error());
  auto key = choose(*header, keys);
  if (!key) return tl::unexpected(key.error());
  auto cek = content_key(*header, *parts, **key);
  if (!cek && cek.error().kind == ErrorKind::kUnavailable)
    return refuse("jwe.key-away", "the key for encrypted evidence is away; try again");
  // RFC 7516 §11.5: go on with a random key, so that time tells nothing either.
  const auto used = cek ? std::move(*cek) : SecretBytes(random_bytes(crypto::kAesKeyBytes));
  auto plaintext = crypto::aes256_gcm_open(used.view(), parts->nonce, view_of(parts->header_b64),
                                           parts->ciphertext, parts->tag);
  if (!plaintext) return not_opened();
  return OpenedJwe{std::move(*plaintext), std::move(header->cty)};
}

Result<std::string> make_jwe(const crypto::PublicKey& recipient, ByteView plaintext,
                             const JweMake& make) {
  const auto* row = std::ranges::find(kAlgorithms, make.algorithm, &AlgorithmRow::algorithm);
  if (row == kAlgorithms.end() || row->kind != recipient.kind())
    return fail(ErrorKind::kBadInput, "jwe: the key does not fit the algorithm");
  json::Writer header;
  header.begin_object().member("alg", row->name).member("enc", kEnc);
  if (!make.kid.empty()) header.member("kid", make.kid);
  if (!make.cty.empty()) header.member("cty", make.cty);
  KEYWARD_TRY(key, make_key(recipient, *row, header));
  header.end_object();
  const auto header_b64 = base64url_encode(view_of(header.take()));
  const auto nonce = random_bytes(crypto::kGcmNonceBytes);
  KEYWARD_TRY(sealed,
              crypto::aes256_gcm_seal(key.cek.view(), nonce, view_of(header_b64), plaintext));
  std::string out = header_b64;
  for (const Bytes& part : {key.encrypted_key, nonce, sealed.ciphertext, sealed.tag})
    out += "." + base64url_encode(part);
  return out;
}

}  // namespace keyward::rats
