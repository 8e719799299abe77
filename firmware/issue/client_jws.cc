#include "firmware/issue/client_jws.h"

namespace keyward::issue {
namespace {

jose::FlattenedJws flattened(const wire::ClientJws& jws) {
  return {jws.protected_b64, jws.payload_b64, jws.signature};
}

// Which half of a refused JWS was wrong; only on the way out.
std::string_view code_of_refused_jws(const jose::FlattenedJws& jws, const crypto::PublicKey& key) {
  const auto header = jose::parse_protected(jws.protected_b64);
  if (!header) return "jws-malformed";
  const bool tried =
      header->alg && jose::is_accepted(*header->alg) && jose::fits(*header->alg, key);
  return tried ? "jws-signature" : "jws-algorithm";
}

}  // namespace

Digest256 digest_of(const wire::ClientJws& jws) {
  Bytes text = to_bytes(jws.protected_b64);
  text.push_back('.');
  append(text, view_of(jws.payload_b64));
  text.push_back('.');
  append(text, jws.signature);
  return crypto::sha256(text);
}

Verdict<jose::VerifiedJws> verify_client_jws(const jose::FlattenedJws& jws,
                                             const crypto::PublicKey& key) {
  auto verified = jose::verify(jws, key);
  if (verified) return std::move(*verified);
  const bool refused = verified.error().kind == ErrorKind::kRefused;
  return refuse(verified.error(), refused ? code_of_refused_jws(jws, key) : "jws-malformed");
}

Verdict<jose::VerifiedJws> verify_client_jws(const wire::ClientJws& jws,
                                             const crypto::PublicKey& key) {
  return verify_client_jws(flattened(jws), key);
}

Verdict<OwnKeyJws> verify_own_key_jws(const jose::FlattenedJws& jws) {
  auto header = jose::parse_protected(jws.protected_b64);
  if (!header) return refuse(header.error(), "jws-malformed");
  if (header->jwk_refused)
    return refuse("jws-key-refused", "the key in the JWS is of a kind that is not accepted");
  if (!header->jwk) return bad_input("jws-malformed", "the JWS does not hold its key (jwk)");
  ISSUE_TRY(verified, verify_client_jws(jws, header->jwk->key()));
  return OwnKeyJws{std::move(*header->jwk), std::move(verified)};
}

Verdict<OwnKeyJws> verify_own_key_jws(const wire::ClientJws& jws) {
  return verify_own_key_jws(flattened(jws));
}

}  // namespace keyward::issue
