// Owns the making of orders, on the operator's side. Must not know who reads them.
#include <algorithm>

#include <time.h>

#include "firmware/jose/jws.h"
#include "firmware/operate/order.h"
#include "firmware/operate/order_key.h"

namespace keyward::operate {
namespace {

crypto::SignatureScheme scheme_of(crypto::KeyKind kind) {
  return kind == crypto::KeyKind::kEcP256 ? crypto::SignatureScheme::kEcdsaRaw
                                          : crypto::SignatureScheme::kEd25519;
}
crypto::HashAlgorithm hash_of(crypto::KeyKind kind) {
  return kind == crypto::KeyKind::kEcP256 ? crypto::HashAlgorithm::kSha256
                                          : crypto::HashAlgorithm::kSha512;
}

struct Signed {
  std::string protected_b64;
  std::string signature_b64;
};

Result<Signed> sign_text(const OrderKey& key, std::string_view payload_b64) {
  const auto kind = key.public_key.kind();
  const bool ec = kind == crypto::KeyKind::kEcP256;
  if (!ec && kind != crypto::KeyKind::kEd25519)
    return fail(ErrorKind::kRefused, "an operator's key must be P-256 or Ed25519");
  KEYWARD_TRY(jwk, jose::Jwk::from_public_key(key.public_key));
  json::Writer header;
  header.begin_object().member("alg", ec ? "ES256" : "EdDSA");
  header.member("kid", jwk.thumbprint_text()).member("typ", kOrderTyp).end_object();
  Signed out{base64url_encode(view_of(header.take())), ""};
  const std::string input = out.protected_b64 + "." + std::string(payload_b64);
  KEYWARD_TRY(signature, key.sign(view_of(input)));
  if (!key.public_key.verify(scheme_of(kind), hash_of(kind), view_of(input), signature))
    return fail(ErrorKind::kCorrupt, "the signature does not verify");
  out.signature_b64 = base64url_encode(signature);
  return out;
}

void write(json::Writer& out, std::string_view protected_b64, std::string_view signature_b64) {
  out.begin_object().member("protected", protected_b64);
  out.member("signature", signature_b64).end_object();
}

}  // namespace

std::string time_text(std::int64_t utc_ms) {
  const ::time_t seconds = utc_ms / 1'000;
  ::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string order_payload(const OrderHead& head, std::string_view arguments) {
  json::Writer out;
  out.begin_object().member("order", head.order).member("unit", head.unit);
  out.member("id", hex_encode(head.id)).member("issued", time_text(head.issued_ms));
  out.member("expires", time_text(head.expires_ms));
  if (!head.reason.empty()) out.member("reason", head.reason);
  std::string text = out.end_object().take();
  if (arguments.empty()) return text;
  text.pop_back();
  return text + "," + std::string(arguments) + "}";
}

OrderKey order_key(const crypto::PrivateKey& key) {
  const auto kind = key.public_key().kind();
  return {key.public_key(),
          [&key, kind](ByteView input) { return key.sign(scheme_of(kind), hash_of(kind), input); }};
}

Result<std::string> sign_order(const crypto::PrivateKey& key, std::string_view payload) {
  return sign_order(order_key(key), payload);
}

Result<std::string> cosign_order(const crypto::PrivateKey& key, std::string_view jws) {
  return cosign_order(order_key(key), jws);
}

Result<std::string> sign_order(const OrderKey& key, std::string_view payload) {
  const std::string payload_b64 = base64url_encode(view_of(payload));
  KEYWARD_TRY(one, sign_text(key, payload_b64));
  json::Writer out;
  out.begin_object().member("payload", payload_b64).member("protected", one.protected_b64);
  return out.member("signature", one.signature_b64).end_object().take();
}

Result<std::string> cosign_order(const OrderKey& key, std::string_view jws) {
  const auto shown = show_order(view_of(jws));
  if (!shown) return fail(ErrorKind::kBadInput, "this is no order");
  KEYWARD_TRY(jwk, jose::Jwk::from_public_key(key.public_key));
  if (std::ranges::find(shown->kids, jwk.thumbprint_text()) != shown->kids.end())
    return fail(ErrorKind::kRefused, "this key has signed the order already");
  if (shown->kids.size() >= limits::kOperatorOrderSignaturesMax)
    return fail(ErrorKind::kRefused, "the order has as many signatures as are read");
  KEYWARD_TRY(document, json::Document::parse(jws, limits::kOperatorOrderBytesMax));
  const auto root = document.root();
  const auto payload_b64 = root.get("payload").string();
  KEYWARD_TRY(own, sign_text(key, payload_b64));
  json::Writer out;
  out.begin_object().member("payload", payload_b64).key("signatures").begin_array();
  if (const auto list = root.get("signatures"); list.exists()) {
    for (const auto& item : list.items())
      write(out, item.get("protected").string(), item.get("signature").string());
  } else {
    write(out, root.get("protected").string(), root.get("signature").string());
  }
  write(out, own.protected_b64, own.signature_b64);
  return out.end_array().end_object().take();
}

}  // namespace keyward::operate
