#include "firmware/operate/destruction.h"

#include "firmware/json/json.h"

namespace keyward::operate {
namespace {

constexpr std::string_view kTyp = "keyward-destruction+jws";

bool is_ec(const crypto::PublicKey& key) { return key.kind() == crypto::KeyKind::kEcP256; }

crypto::SignatureScheme scheme_of(const crypto::PublicKey& key) {
  return is_ec(key) ? crypto::SignatureScheme::kEcdsaRaw : crypto::SignatureScheme::kEd25519;
}

}  // namespace

Result<std::string> sign_destruction(const crypto::PrivateKey& key, std::string_view payload) {
  const auto kind = key.public_key().kind();
  if (kind != crypto::KeyKind::kEcP256 && kind != crypto::KeyKind::kEd25519)
    return fail(ErrorKind::kBadInput, "an operator's key is P-256 or Ed25519");
  KEYWARD_TRY(jwk, jose::Jwk::from_public_key(key.public_key()));
  json::Writer header;
  header.begin_object().member("alg", is_ec(key.public_key()) ? "ES256" : "EdDSA");
  header.member("kid", jwk.thumbprint_text()).member("typ", kTyp).end_object();
  const auto protected_b64 = base64url_encode(view_of(header.take()));
  const auto payload_b64 = base64url_encode(view_of(payload));
  KEYWARD_TRY(signature, key.sign(scheme_of(key.public_key()), crypto::HashAlgorithm::kSha256,
                                  view_of(protected_b64 + "." + payload_b64)));
  json::Writer out;
  out.begin_object().member("payload", payload_b64).member("protected", protected_b64);
  return out.member("signature", base64url_encode(signature)).end_object().take();
}

Result<VerifiedDestruction> verify_destruction(std::string_view text, const Operators& operators) {
  KEYWARD_TRY(document, json::Document::parse(text, kDestructionBytesMax));
  KEYWARD_TRY(payload_b64, document.root().require_string("payload"));
  KEYWARD_TRY(protected_b64, document.root().require_string("protected"));
  KEYWARD_TRY(signature_b64, document.root().require_string("signature"));
  KEYWARD_TRY(header_text, base64url_decode(protected_b64));
  KEYWARD_TRY(header, json::Document::parse(text_of(header_text), kDestructionBytesMax));
  if (header.root().get("typ").string() != kTyp || header.root().keys().size() != 3)
    return fail(ErrorKind::kBadInput, "this is no certificate of destruction");
  const auto* signer = operators.find(header.root().get("kid").string());
  if (signer == nullptr) return fail(ErrorKind::kRefused, "nobody of the operators file signed it");
  const auto& key = signer->jwk.key();
  if (header.root().get("alg").string() != (is_ec(key) ? "ES256" : "EdDSA"))
    return fail(ErrorKind::kRefused, "the algorithm is not that of the operator's key");
  KEYWARD_TRY(signature, base64url_decode(signature_b64));
  const auto input = std::string(protected_b64) + "." + std::string(payload_b64);
  if (!key.verify(scheme_of(key), crypto::HashAlgorithm::kSha256, view_of(input), signature))
    return fail(ErrorKind::kRefused, "the signature is not right");
  KEYWARD_TRY(payload, base64url_decode(payload_b64));
  return VerifiedDestruction{signer->name, std::string(text_of(payload))};
}

}  // namespace keyward::operate
