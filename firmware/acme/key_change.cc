#include "firmware/acme/key_change.h"

#include "firmware/acme/account_resources.h"
#include "firmware/acme/recovery.h"

namespace keyward::acme {
namespace {

Problem malformed(std::string_view code, std::string_view detail) {
  return Problem::of(ProblemType::kMalformed, code, detail);
}

Problem bad_algorithm(std::string_view code, std::string_view detail) {
  auto problem = Problem::of(ProblemType::kBadSignatureAlgorithm, code, detail);
  problem.algorithms = {"ES256", "ES384", "EdDSA", "RS256"};
  return problem;
}

// Checks 2 and 3: the inner JWS is one, has no nonce, and has its key in "jwk".
Outcome<jose::ProtectedHeader> read_inner_header(const jose::FlattenedJws& inner) {
  auto header = jose::parse_protected(inner.protected_b64);
  if (!header) return refuse(malformed("key-change.header", header.error().what));
  if (!header->alg) {
    return refuse(bad_algorithm("key-change.algorithm",
                                "the inner JWS's signature algorithm is not accepted"));
  }
  if (header->nonce)
    return refuse(malformed("key-change.nonce", "the inner JWS must not have a nonce"));
  if (header->jwk_refused) {
    return refuse(ProblemType::kBadPublicKey, "key-change.key",
                  std::string("the new key is not accepted: ") + header->jwk_problem);
  }
  if (!header->jwk)
    return refuse(malformed("key-change.jwk-required", "the inner JWS has no \"jwk\""));
  return std::move(*header);
}

// Checks 2 to 4, in this order; what comes back is signed by the key in its own header.
Outcome<jose::VerifiedJws> verify_inner(ByteView outer_payload) {
  auto inner = jose::FlattenedJws::parse(text_of(outer_payload));
  if (!inner) return refuse(malformed("key-change.form", inner.error().what));
  auto header = read_inner_header(*inner);
  if (!header) return refuse(std::move(header.error()));
  const auto& key = header->jwk->key();
  if (!jose::fits(*header->alg, key)) {
    return refuse(bad_algorithm("key-change.algorithm-key",
                                "the inner JWS's algorithm does not fit its key"));
  }
  auto verified = jose::verify(*inner, key);
  if (!verified) return refuse(malformed("key-change.signature", verified.error().what));
  return std::move(*verified);
}

struct KeyChangeObject {
  std::string account;
  jose::Jwk old_key;
};

// Check 5.
Outcome<KeyChangeObject> read_object(const jose::VerifiedJws& inner) {
  const auto bad = [](std::string_view detail) {
    return refuse(malformed("key-change.payload", detail));
  };
  auto document = json::Document::parse(text_of(inner.payload()), limits::kJwsPayloadBytesMax);
  if (!document) return bad(document.error().what);
  const auto root = document->root();
  if (!root.is_object()) return bad("the inner payload is not a JSON object");
  const auto account = root.get("account");
  if (!account.is_string()) return bad("\"account\" is missing or not a string");
  auto old_key = jose::Jwk::from_json(root.get("oldKey"));
  if (!old_key) return bad("\"oldKey\" is missing or no JWK");
  return KeyChangeObject{std::string(account.string()), std::move(*old_key)};
}

// Checks 6 to 8.
Outcome<void> compare(const SignedRequest& request, const jose::VerifiedJws& inner,
                      const KeyChangeObject& object) {
  const auto& outer = request.verified.header();
  if (inner.header().url != outer.url) {
    return refuse(
        malformed("key-change.url", "\"url\" of the inner JWS is not that of the outer one"));
  }
  if (!outer.kid || object.account != *outer.kid) {
    return refuse(
        malformed("key-change.account", "\"account\" is not the \"kid\" of the outer JWS"));
  }
  if (object.old_key.canonical() != request.account->jwk.canonical()) {
    return refuse(malformed("key-change.old-key", "\"oldKey\" is not the account's key"));
  }
  return {};
}

Problem conflict(const Context& context, const wire::AccountRecord& holder) {
  return malformed("key-change.conflict", "there is an account that has the new key")
      .with_status(409)
      .with_header("Location", context.urls.of(holder.tenant).account(holder.id));
}

// Check 9.
Outcome<void> check_free(Context& context, const jose::Jwk& new_key) {
  auto holder = context.backend.store.ask(wire::AccountGet{std::nullopt, new_key.thumbprint()});
  if (!holder) return refuse(problem_from(holder.error()));
  if (holder->account) return refuse(conflict(context, *holder->account));
  return {};
}

// What costs the installation something is bounded before another task is asked.
Outcome<void> check_budget(Context& context, const Account& account) {
  if (account.record.earlier_keys.size() >= limits::kEarlierKeysMax) {
    return refuse(ProblemType::kUnauthorized, "key-change.many",
                  "this account has changed its key as often as it may");
  }
  return context.rates.admit(Rate::kKeyChanges, account.record.id);
}

Outcome<wire::AccountRecord> carry_out(Context& context, const SignedRequest& request,
                                       const jose::Jwk& new_key) {
  const Account& account = *request.account;
  auto moved = context.backend.signer.ask(wire::KeyChange{account.record.jwk, request.original});
  if (!moved) return refuse(problem_from(moved.error()));
  if (moved->thumbprint != new_key.thumbprint()) {
    return refuse(ProblemType::kServerInternal, "key-change.signer",
                  "the signer has read another key out of the request");
  }
  wire::AccountRekey rekey;
  rekey.id = account.record.id;
  rekey.expected = account.record.thumbprint;
  rekey.thumbprint = new_key.thumbprint();
  rekey.jwk = new_key.canonical();
  auto done = context.backend.store.ask(rekey);
  // Also after a failure: whether it was carried out is then not known.
  context.accounts.forget(rekey.id);
  if (!done) return refuse(problem_from(done.error()));
  if (!done->applied && done->holder_id && *done->holder_id != rekey.id) {
    auto holder = context.backend.store.ask(wire::AccountGet{*done->holder_id, std::nullopt});
    if (!holder) return refuse(problem_from(holder.error()));
    if (holder->account) return refuse(conflict(context, *holder->account));
  }
  if (!done->account || done->account->thumbprint != rekey.thumbprint) {
    return refuse(malformed("key-change.old-key", "\"oldKey\" is no longer the account's key"));
  }
  return std::move(*done->account);
}

}  // namespace

// Check 1, an active account, was made when the request was authenticated.
Outcome<HttpResponse> key_change(Context& context, const SignedRequest& request) {
  auto inner = verify_inner(request.verified.payload());
  if (!inner) return refuse(std::move(inner.error()));
  auto object = read_object(*inner);
  if (!object) return refuse(std::move(object.error()));
  if (auto ok = compare(request, *inner, *object); !ok) return refuse(ok.error());
  const auto& new_key = *inner->header().jwk;
  if (auto ok = check_free(context, new_key); !ok) return refuse(ok.error());
  if (auto ok = check_budget(context, *request.account); !ok) return refuse(ok.error());
  // Who holds the account's key has not lost it: nobody else may be about to get the account.
  if (auto ok = end_recoveries(context, request.account->record.id); !ok) return refuse(ok.error());
  auto changed = carry_out(context, request, new_key);
  if (!changed) return refuse(std::move(changed.error()));
  const auto urls = context.urls.of(changed->tenant);
  auto response = json_response(200, account_json(urls, *changed));
  response.headers.emplace_back("Location", urls.account(changed->id));
  return response;
}

}  // namespace keyward::acme
