// What the gate does to accounts on the client's own word: another key, a proof given back.
#include "firmware/issue/gate.h"
#include "firmware/issue/key_change.h"
#include "firmware/json/json.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kKeyChangePath = "/key-change", kAuthzPath = "/authz/";

}  // namespace

// RFC 8555 §7.3.5. The old key says that the new one follows it, the new one that it wants to: both
// signatures are checked here, and nothing else can make a key follow another. The same change again
// is answered alike, as long as it is the account's last: whoever lost the answer asks again.
Verdict<wire::KeyChangeReply> Gate::change_key(const wire::KeyChange& request) {
  ISSUE_TRY(outer, verify_signature(request.account_jwk, request.jws));
  ISSUE_TRY(place, place_of(outer.jws(), "keyChange's"));
  if (place.path != kKeyChangePath)
    return refuse("jws-url", "the client signed another URL than keyChange's");
  ISSUE_TRY(key, read_key_change(outer.jws(), *outer.account()));
  ISSUE_CHECK(check_account_open(outer.account()->thumbprint()));
  ISSUE_CHECK(check_account_open(key.thumbprint()));
  ISSUE_CHECK(links_->link(outer.account()->thumbprint(), key.thumbprint(), clock_.utc_ms()));
  return wire::KeyChangeReply{key.thumbprint()};
}

// RFC 8555 §7.5.2. The signature covers an authorization's URL, not its identifier: which one that
// is, the front end says. It can so only take proofs away that it could keep from ever coming.
Verdict<wire::GrantWithdrawReply> Gate::withdraw_grants(const wire::GrantWithdraw& request) {
  ISSUE_TRY(verified, verify(request.account_jwk, request.jws));
  ISSUE_TRY(place, place_of(verified.jws(), "an authorization's"));
  if (!place.path.starts_with(kAuthzPath) || place.path.size() == kAuthzPath.size())
    return refuse("jws-url", "the client signed another URL than an authorization's");
  const auto document = json::Document::parse(text_of(verified.jws().payload()));
  if (!document || !document->root().is_object() ||
      document->root().get("status").string() != "deactivated") {
    return bad_input("payload-malformed", "the request does not deactivate an authorization");
  }
  if (const auto gone = grants_->withdraw(verified.keys(), request.identifier); !gone)
    return refuse(gone.error(), "grant-not-recorded");
  return wire::GrantWithdrawReply{};
}

}  // namespace keyward::issue
