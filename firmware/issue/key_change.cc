#include "firmware/issue/key_change.h"

#include "firmware/json/json.h"

namespace keyward::issue {
namespace {

// The same failures as of any JWS, by names that say it was the inner one.
std::string_view inner_code(const std::string& code) {
  if (code == "jws-signature") return "key-change-signature";
  if (code == "jws-algorithm") return "key-change-algorithm";
  if (code == "jws-key-refused") return "key-change-key";
  return "key-change-malformed";
}

Verdict<OwnKeyJws> verify_inner(ByteView outer_payload) {
  const auto inner = jose::FlattenedJws::parse(text_of(outer_payload));
  if (!inner) return refuse(inner.error(), "key-change-malformed");
  auto verified = verify_own_key_jws(*inner);
  if (verified) return std::move(*verified);
  verified.error().code = inner_code(verified.error().code);
  return tl::unexpected<wire::Failure>(std::move(verified.error()));
}

}  // namespace

Verdict<jose::Jwk> read_key_change(const jose::VerifiedJws& outer, const jose::Jwk& old_key) {
  ISSUE_TRY(inner, verify_inner(outer.payload()));
  if (inner.jws.header().nonce)
    return bad_input("key-change-malformed", "the inner JWS must not have a nonce");
  if (inner.jws.header().url != outer.header().url)
    return refuse("key-change-url", "the inner JWS was signed for another URL than the outer one");
  const auto document = json::Document::parse(text_of(inner.jws.payload()));
  if (!document || !document->root().is_object())
    return bad_input("key-change-malformed", "the inner payload is not a JSON object");
  const auto account = document->root().require_string("account");
  if (!account) return bad_input("key-change-malformed", "the inner payload names no account");
  const auto named = jose::Jwk::from_json(document->root().get("oldKey"));
  if (!named) return bad_input("key-change-malformed", "oldKey is missing or no key");
  if (!outer.header().kid || *account != *outer.header().kid)
    return refuse("key-change-account", "account is not the account that signed");
  if (named->canonical() != old_key.canonical())
    return refuse("key-change-old-key", "oldKey is not the key that signed");
  return std::move(inner.key);
}

}  // namespace keyward::issue
