// Owns compact and flattened JWS of tokens. Must not know what is signed.
#include "firmware/rats/jwt.h"

#include <algorithm>

#include "firmware/jose/compact.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"

namespace keyward::rats {
namespace {

tl::unexpected<Refusal> malformed(const char* detail) { return refuse("jws.malformed", detail); }
tl::unexpected<Refusal> bad_header(const char* detail) { return refuse("jws.header", detail); }

struct Header {
  SignerHint hint;
  std::string typ;
  std::string cty;
};

Appraised<void> read_text(const json::Value& root, std::string_view name, std::string& out) {
  const auto value = root.get(name);
  if (!value.exists()) return {};
  if (!value.is_string()) return bad_header("a header is not text");
  out = value.string();
  return {};
}

Appraised<void> read_x5c(const json::Value& value, SignerHint& hint) {
  if (!value.exists()) return {};
  auto chain = jose::parse_x5c(value);
  if (!chain) return bad_header(chain.error().what);
  hint.x5c = std::move(*chain);
  return {};
}

Appraised<Header> read_header(std::string_view header_b64) {
  const auto octets = base64url_decode(header_b64);
  if (!octets) return malformed("the header is not base64url");
  const auto document = json::Document::parse(text_of(*octets), limits::kAuthorityTokenBytesMax);
  if (!document || !document->root().is_object())
    return malformed("the header is not a JSON object");
  const auto root = document->root();
  if (root.get("crit").exists() || root.get("b64").exists())
    return refuse("jws.crit", "the header names extensions, and none is understood here");
  Header out;
  const auto alg = root.get("alg");
  out.hint.algorithm = algorithm_from_jose(alg.string());
  if (!alg.is_string() || out.hint.algorithm == nullptr)
    return refuse("jws.alg", "the header names no accepted algorithm");
  KEYWARD_APPRAISE(read_text(root, "typ", out.typ));
  KEYWARD_APPRAISE(read_text(root, "cty", out.cty));
  std::string kid;
  KEYWARD_APPRAISE(read_text(root, "kid", kid));
  if (root.get("kid").exists()) out.hint.kid = to_bytes(kid);
  KEYWARD_APPRAISE(read_x5c(root.get("x5c"), out.hint));
  return out;
}

Appraised<VerifiedJws> verify_parts(const jose::CompactJws& jws, const TrustAnchors& anchors) {
  auto header = read_header(jws.protected_b64);
  if (!header) return tl::unexpected(header.error());
  auto signer = verify_signer(anchors, header->hint, view_of(jws.signing_input), jws.signature,
                              "jws.signature");
  if (!signer) return tl::unexpected(signer.error());
  auto payload = base64url_decode(jws.payload_b64);
  if (!payload) return malformed("the payload is not base64url");
  return VerifiedJws{std::move(*payload), std::move(header->typ), std::move(header->cty),
                     std::move(*signer)};
}

}  // namespace

Appraised<VerifiedJws> verify_compact(std::string_view token, const TrustAnchors& anchors) {
  if (token.size() > limits::kEvidenceBytesMax) return malformed("the token is too large");
  const auto jws = jose::parse_compact(token);
  if (!jws) return malformed(jws.error().what);
  return verify_parts(*jws, anchors);
}

Appraised<VerifiedJws> verify_flattened(std::string_view json, const TrustAnchors& anchors) {
  if (json.size() > limits::kEvidenceBytesMax) return malformed("the JWS is too large");
  const auto jws = jose::FlattenedJws::parse(json);
  if (!jws || jws->signature.empty()) return malformed("not a flattened JWS");
  const auto input = jws->protected_b64 + "." + jws->payload_b64;
  return verify_parts({jws->protected_b64, jws->payload_b64, input, jws->signature}, anchors);
}

Result<std::string> make_compact(const crypto::PrivateKey& key, std::string_view payload,
                                 const JwsMake& make) {
  const auto& algorithm =
      make.algorithm != nullptr ? *make.algorithm : algorithm_for(key.public_key().kind());
  json::Writer header;
  header.begin_object().member("alg", algorithm.jose);
  if (!make.typ.empty()) header.member("typ", make.typ);
  if (!make.cty.empty()) header.member("cty", make.cty);
  if (!make.kid.empty()) header.member("kid", make.kid);
  if (!make.x5c.empty()) {
    header.key("x5c").begin_array();
    for (const auto& der : make.x5c) header.string(base64_encode(der));
    header.end_array();
  }
  header.end_object();
  auto text = base64url_encode(view_of(header.take())) + "." + base64url_encode(view_of(payload));
  KEYWARD_TRY(signature, key.sign(algorithm.scheme, algorithm.hash, view_of(text)));
  return text + "." + base64url_encode(signature);
}

}  // namespace keyward::rats
