// Owns the making of bindings. Must not know the verifier.
#include "tests/support/eab/eab.h"

#include <cstdlib>

#include "firmware/json/json.h"

namespace keyward::test {
namespace {

crypto::HashAlgorithm hash_of(std::string_view alg) {
  if (alg == "HS384") return crypto::HashAlgorithm::kSha384;
  if (alg == "HS512") return crypto::HashAlgorithm::kSha512;
  return crypto::HashAlgorithm::kSha256;
}

}  // namespace

wire::EabVerify binding(const jose::Jwk& account, const BindingSpec& spec) {
  json::Writer header;
  header.begin_object()
      .member("alg", spec.alg)
      .member("kid", spec.kid)
      .member("url", spec.url)
      .end_object();
  wire::EabVerify out;
  out.account_jwk = account.canonical();
  out.url = std::string(kNewAccountUrl);
  const std::string protected_text = spec.header ? *spec.header : header.take();
  out.binding.protected_b64 = base64url_encode(view_of(protected_text));
  const std::string payload = spec.payload ? *spec.payload : account.canonical();
  out.binding.payload_b64 = base64url_encode(view_of(payload));
  const std::string input = out.binding.protected_b64 + "." + out.binding.payload_b64;
  out.binding.signature = crypto::hmac(hash_of(spec.alg), spec.mac_key, view_of(input));
  return out;
}

jose::Jwk new_account_key() {
  const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
  if (!key) ::abort();
  auto jwk = jose::Jwk::from_public_key(key->public_key());
  if (!jwk) ::abort();
  return std::move(*jwk);
}

eab::Credential credential(const std::string& kid, std::uint8_t fill) {
  eab::Credential out;
  out.kid = kid;
  out.key = SecretBytes(Bytes(32, fill));
  out.created_ms = 1;
  return out;
}

}  // namespace keyward::test
