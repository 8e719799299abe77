// Owns flattened JWS as ACME uses it. Must not know accounts or nonces.
#include "firmware/jose/jws.h"

#include <array>
#include <utility>

namespace keyward::jose {
namespace {

using crypto::HashAlgorithm;
using crypto::KeyKind;
using crypto::SignatureScheme;

struct AlgorithmRow {
  JwsAlgorithm algorithm;
  std::string_view name;
  KeyKind kind;
  SignatureScheme scheme;
  HashAlgorithm hash;
  bool accepted;
};
constexpr std::array<AlgorithmRow, 5> kAlgorithms{{
    {JwsAlgorithm::kEs256, "ES256", KeyKind::kEcP256, SignatureScheme::kEcdsaRaw,
     HashAlgorithm::kSha256, true},
    {JwsAlgorithm::kEs384, "ES384", KeyKind::kEcP384, SignatureScheme::kEcdsaRaw,
     HashAlgorithm::kSha384, true},
    {JwsAlgorithm::kEs512, "ES512", KeyKind::kEcP521, SignatureScheme::kEcdsaRaw,
     HashAlgorithm::kSha512, false},
    {JwsAlgorithm::kEdDsa, "EdDSA", KeyKind::kEd25519, SignatureScheme::kEd25519,
     HashAlgorithm::kSha512, true},
    {JwsAlgorithm::kRs256, "RS256", KeyKind::kRsa, SignatureScheme::kRsaPkcs1,
     HashAlgorithm::kSha256, true},
}};

const AlgorithmRow& row_of(JwsAlgorithm algorithm) {
  for (const auto& row : kAlgorithms) {
    if (row.algorithm == algorithm) return row;
  }
  return kAlgorithms.front();
}

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::kBadInput, what); }

Bytes signing_input(std::string_view protected_b64, std::string_view payload_b64) {
  Bytes out = to_bytes(protected_b64);
  out.push_back('.');
  append(out, view_of(payload_b64));
  return out;
}

Bytes signing_input(const FlattenedJws& jws) {
  return signing_input(jws.protected_b64, jws.payload_b64);
}

// A member that may be absent, and must be a string when it is there.
Result<std::optional<std::string>> optional_string(const json::Value& object,
                                                   std::string_view name) {
  const auto value = object.get(name);
  if (!value.exists()) return std::optional<std::string>();
  if (!value.is_string()) return bad("jws: a header member is not a string");
  return std::optional<std::string>(value.string());
}

Status read_jwk(const json::Value& value, ProtectedHeader& header) {
  if (!value.is_object()) return bad("jws: jwk is not an object");
  auto jwk = Jwk::from_json(value);
  if (jwk) {
    header.jwk = std::move(*jwk);
    return {};
  }
  header.jwk_refused = true;
  header.jwk_problem = jwk.error().what;
  return {};
}

}  // namespace

std::optional<JwsAlgorithm> jws_algorithm_from(std::string_view alg) {
  for (const auto& row : kAlgorithms) {
    if (row.name == alg) return row.algorithm;
  }
  return std::nullopt;
}

std::string_view to_string(JwsAlgorithm algorithm) { return row_of(algorithm).name; }
bool is_accepted(JwsAlgorithm algorithm) { return row_of(algorithm).accepted; }
bool fits(JwsAlgorithm algorithm, const crypto::PublicKey& key) {
  return row_of(algorithm).kind == key.kind();
}

Status verify_signature(JwsAlgorithm algorithm, const crypto::PublicKey& key,
                        std::string_view protected_b64, std::string_view payload_b64,
                        ByteView signature) {
  if (!is_accepted(algorithm)) return fail(ErrorKind::kRefused, "jws: algorithm is not accepted");
  if (!fits(algorithm, key))
    return fail(ErrorKind::kRefused, "jws: algorithm does not fit the key");
  const auto& row = row_of(algorithm);
  return key.verify(row.scheme, row.hash, signing_input(protected_b64, payload_b64), signature);
}

Result<ProtectedHeader> parse_protected(std::string_view protected_b64) {
  auto octets = base64url_decode(protected_b64);
  if (!octets) return bad("jws: protected header is not unpadded base64url");
  if (octets->size() > limits::kJwsProtectedBytesMax)
    return bad("jws: protected header over its limit");
  KEYWARD_TRY(document, json::Document::parse(text_of(*octets), limits::kJwsProtectedBytesMax));
  const auto root = document.root();
  if (!root.is_object()) return bad("jws: protected header is not an object");
  // RFC 7515 §4.1.11 and RFC 7797: an extension that must be understood, and none is.
  if (root.get("crit").exists()) return bad("jws: crit is not supported");
  if (root.get("b64").exists()) return bad("jws: b64 is not supported");
  ProtectedHeader header;
  KEYWARD_TRY(alg, optional_string(root, "alg"));
  KEYWARD_TRY(url, optional_string(root, "url"));
  KEYWARD_TRY(nonce, optional_string(root, "nonce"));
  KEYWARD_TRY(kid, optional_string(root, "kid"));
  if (!alg) return bad("jws: alg is missing");
  if (!url) return bad("jws: url is missing");
  header.alg_text = *alg;
  header.alg = jws_algorithm_from(*alg);
  if (header.alg && !is_accepted(*header.alg)) header.alg.reset();
  header.url = *url;
  header.nonce = std::move(nonce);
  header.kid = std::move(kid);
  const auto jwk = root.get("jwk");
  if (jwk.exists() == header.kid.has_value())
    return bad("jws: exactly one of jwk and kid is needed");
  if (jwk.exists()) KEYWARD_CHECK(read_jwk(jwk, header));
  return header;
}

Result<FlattenedJws> FlattenedJws::parse(std::string_view body) {
  KEYWARD_TRY(document, json::Document::parse(body));
  const auto root = document.root();
  if (!root.is_object()) return bad("jws: not an object");
  if (root.get("signatures").exists()) return bad("jws: several signatures are not supported");
  if (root.get("header").exists()) return bad("jws: an unprotected header is not supported");
  for (const auto name : {"protected", "payload", "signature"}) {
    if (!root.get(name).is_string())
      return bad("jws: protected, payload and signature must be strings");
  }
  if (root.keys().size() != 3) return bad("jws: unknown member");
  FlattenedJws jws;
  jws.protected_b64 = root.get("protected").string();
  jws.payload_b64 = root.get("payload").string();
  // 4 characters carry 3 octets.
  if (jws.protected_b64.size() / 4 * 3 > limits::kJwsProtectedBytesMax)
    return bad("jws: protected header over its limit");
  if (jws.payload_b64.size() / 4 * 3 > limits::kJwsPayloadBytesMax)
    return bad("jws: payload over its limit");
  auto signature = base64url_decode(root.get("signature").string());
  if (!signature) return bad("jws: signature is not unpadded base64url");
  if (signature->empty() || signature->size() > limits::kJwsSignatureBytesMax) {
    return bad("jws: signature has an impossible length");
  }
  jws.signature = std::move(*signature);
  return jws;
}

Result<VerifiedJws> verify(const FlattenedJws& jws, const crypto::PublicKey& key) {
  KEYWARD_TRY(header, parse_protected(jws.protected_b64));
  if (!header.alg) return fail(ErrorKind::kRefused, "jws: algorithm is not accepted");
  if (!fits(*header.alg, key))
    return fail(ErrorKind::kRefused, "jws: algorithm does not fit the key");
  const auto& row = row_of(*header.alg);
  KEYWARD_CHECK(key.verify(row.scheme, row.hash, signing_input(jws), jws.signature));
  auto payload = base64url_decode(jws.payload_b64);
  if (!payload) return bad("jws: payload is not unpadded base64url");
  if (payload->size() > limits::kJwsPayloadBytesMax) return bad("jws: payload over its limit");
  return VerifiedJws(std::move(header), std::move(*payload));
}

Result<FlattenedJws> sign(const crypto::PrivateKey& key, const SignRequest& request) {
  for (const auto& row : kAlgorithms) {
    if (row.kind != key.public_key().kind()) continue;
    json::Writer header;
    header.begin_object().member("alg", row.name);
    if (request.kid) {
      header.member("kid", *request.kid);
    } else {
      KEYWARD_TRY(jwk, Jwk::from_public_key(key.public_key()));
      header.key("jwk").raw(jwk.canonical());
    }
    if (request.nonce) header.member("nonce", *request.nonce);
    header.member("url", request.url).end_object();
    FlattenedJws jws;
    jws.protected_b64 = base64url_encode(view_of(header.take()));
    jws.payload_b64 = base64url_encode(view_of(request.payload));
    KEYWARD_TRY(signature, key.sign(row.scheme, row.hash, signing_input(jws)));
    jws.signature = std::move(signature);
    return jws;
  }
  return fail(ErrorKind::kRefused, "jws: no algorithm for this key");
}

std::string to_json(const FlattenedJws& jws) {
  json::Writer out;
  out.begin_object()
      .member("protected", jws.protected_b64)
      .member("payload", jws.payload_b64)
      .member("signature", base64url_encode(jws.signature))
      .end_object();
  return out.take();
}

}  // namespace keyward::jose
