#include "firmware/acme/request.h"

#include <algorithm>

#include "hal/base/rng.h"

namespace keyward::acme {
namespace {

bool is_jose_json(std::string_view content_type) {
  constexpr std::string_view kWanted = "application/jose+json";
  auto type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  const auto same = [](char a, char b) {
    return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b);
  };
  return std::equal(type.begin(), type.end(), kWanted.begin(), kWanted.end(), same);
}

Outcome<void> check_transport(const HttpRequest& request, const Route& route) {
  if (!is_jose_json(request.content_type)) {
    return refuse(Problem::of(ProblemType::kMalformed, "http.content-type",
                              "a POST carries application/jose+json")
                      .with_status(415));
  }
  if (request.body.size() > route.body_bytes_max) {
    return refuse(Problem::of(ProblemType::kMalformed, "http.too-large",
                              "the body is larger than this resource takes")
                      .with_status(413));
  }
  return {};
}

Problem bad_algorithm(std::string_view code, std::string_view detail) {
  auto problem = Problem::of(ProblemType::kBadSignatureAlgorithm, code, detail);
  problem.algorithms = {"ES256", "ES384", "EdDSA", "RS256"};
  return problem;
}

Outcome<void> check_header(const jose::ProtectedHeader& header) {
  if (!header.alg)
    return refuse(bad_algorithm("jws.algorithm", "this signature algorithm is not accepted"));
  if (header.jwk_refused) {
    return refuse(ProblemType::kBadPublicKey, "jws.key",
                  std::string("the key is not accepted: ") + header.jwk_problem);
  }
  return {};
}

// A simulator refuses some good nonces too: a client must be able to go on (RFC 8555 §6.5).
bool rejected_for_trial(int percent) {
  return percent > 0 && random_bytes(1)[0] * 100 < percent * 256;
}

Outcome<void> check_nonce(Nonces& nonces, const jose::ProtectedHeader& header, const Route& route,
                          int reject_percent) {
  if (!header.nonce)
    return refuse(ProblemType::kBadNonce, "nonce.missing", "the protected header has no nonce");
  switch (nonces.consume(*header.nonce, route.repeat == Repeat::kHarmless)) {
    case NonceVerdict::kGood:
      if (!rejected_for_trial(reject_percent)) return {};
      break;
    case NonceVerdict::kMalformed:
      return refuse(ProblemType::kMalformed, "nonce.malformed", "the nonce is not base64url");
    case NonceVerdict::kBad:
      break;
  }
  return refuse(ProblemType::kBadNonce, "nonce.bad",
                "the nonce is unknown, used or too old; use the one in this answer");
}

// jwk or kid, as the route wants it (§6.2).
Outcome<void> check_key_kind(const jose::ProtectedHeader& header, const Route& route) {
  if (route.authentication == Authentication::kJwk && !header.jwk) {
    return refuse(ProblemType::kMalformed, "jws.jwk-required",
                  "this resource is signed with \"jwk\" in the header");
  }
  // kEither: the parser let in nothing that has neither or both.
  if (route.authentication == Authentication::kKid && !header.kid) {
    return refuse(ProblemType::kMalformed, "jws.kid-required",
                  "this resource is signed with \"kid\" in the header");
  }
  return {};
}

Outcome<AccountPtr> account_of(Context& context, const jose::ProtectedHeader& header) {
  const auto name = context.urls.account_of(*header.kid);
  if (name.id.empty())
    return refuse(ProblemType::kAccountDoesNotExist, "account.unknown",
                  "\"kid\" is no account URL of this server");
  auto account = load_account(context, std::string(name.id));
  if (!account) return refuse(problem_from(account.error()));
  // An account has one URL, of the tenant by whose directory it came.
  if (!*account || (*account)->record.tenant.value_or("") != name.tenant)
    return refuse(ProblemType::kAccountDoesNotExist, "account.unknown", "there is no such account");
  if ((*account)->record.status != wire::AccountStatus::kValid) {
    return refuse(Problem::of(ProblemType::kUnauthorized, "account.not-valid",
                              "the account is deactivated or revoked")
                      .with_status(401));  // §7.3.6
  }
  return std::move(*account);
}

// D-T4: what an account has stands in its own part of the server; elsewhere it may order, and prove
// what it ordered, where the tenant delegates to its own.
Outcome<void> check_place(const Context& context, const RouteMatch& match, const Account& account) {
  const auto own = account.record.tenant.value_or("");
  const auto resource = match.route->resource;
  if (own == match.tenant || resource == Resource::kRecovery) return {};
  const bool ordering = resource == Resource::kNewOrder;
  const bool proving = resource == Resource::kAuthz || resource == Resource::kChallenge;
  const auto at = context.config.tenants.find(match.tenant);
  const bool delegated = at != context.config.tenants.end() && !own.empty() &&
                         std::find(at->second.begin(), at->second.end(), own) != at->second.end();
  if (delegated && (ordering || proving)) return {};
  if (!ordering) return refuse(not_found());
  return refuse(ProblemType::kUnauthorized, "tenant.not-delegated",
                "this tenant takes no orders of the account's tenant");
}

}  // namespace

Answer<AccountPtr> load_account(Context& context, const std::string& id) {
  if (auto cached = context.accounts.find(id)) return cached;
  const auto generation = context.accounts.generation();
  auto reply = context.backend.store.ask(wire::AccountGet{id, std::nullopt});
  if (!reply) return tl::unexpected<wire::Failure>(reply.error());
  if (!reply->account) return AccountPtr{};
  auto jwk = jose::Jwk::from_canonical(reply->account->jwk);
  if (!jwk || jwk->thumbprint() != reply->account->thumbprint || reply->account->id != id) {
    return tl::unexpected<wire::Failure>(wire::Failure::of(
        wire::FailureKind::kCorrupt, "account.corrupt", "the stored account contradicts itself"));
  }
  auto account =
      std::make_shared<const Account>(Account{std::move(*reply->account), std::move(*jwk)});
  context.accounts.keep(account, generation);
  return account;
}

Outcome<SignedRequest> authenticate(Context& context, Nonces& nonces, const HttpRequest& request,
                                    const RouteMatch& match) {
  const Route& route = *match.route;
  if (auto ok = check_transport(request, route); !ok) return refuse(ok.error());
  auto jws = jose::FlattenedJws::parse(text_of(request.body));
  if (!jws) return refuse(ProblemType::kMalformed, "jws.form", jws.error().what);
  auto header = jose::parse_protected(jws->protected_b64);
  if (!header) return refuse(ProblemType::kMalformed, "jws.header", header.error().what);
  if (auto ok = check_header(*header); !ok) return refuse(ok.error());
  if (auto ok = check_nonce(nonces, *header, route, context.config.nonce_reject_percent); !ok)
    return refuse(ok.error());
  if (header->url != context.urls.of_path(request.raw_path)) {
    return refuse(ProblemType::kUnauthorized, "jws.url",
                  "\"url\" in the header is not the URL of the request");  // D-A3
  }
  if (auto ok = check_key_kind(*header, route); !ok) return refuse(ok.error());
  AccountPtr account;
  if (header->kid) {
    auto found = account_of(context, *header);
    if (!found) return refuse(found.error());
    account = std::move(*found);
  }
  const auto& key = account ? account->jwk.key() : header->jwk->key();
  if (!jose::fits(*header->alg, key))
    return refuse(bad_algorithm("jws.algorithm-key", "the algorithm does not fit the key"));
  auto verified = jose::verify(*jws, key);
  if (!verified) {
    const bool form = verified.error().kind == ErrorKind::kBadInput;
    return refuse(ProblemType::kMalformed, form ? "jws.form" : "jws.signature",
                  verified.error().what);
  }
  if (account) {
    if (auto ok = check_place(context, match, *account); !ok) return refuse(ok.error());
  }
  wire::ClientJws original{std::move(jws->protected_b64), std::move(jws->payload_b64),
                           std::move(jws->signature)};
  return SignedRequest{match,
                       std::move(original),
                       std::move(*verified),
                       std::move(account),
                       request.peer_address,
                       request.accept};
}

Outcome<json::Document> payload_json(const SignedRequest& request) {
  auto document =
      json::Document::parse(text_of(request.verified.payload()), limits::kJwsPayloadBytesMax);
  if (!document) return refuse(ProblemType::kMalformed, "payload.json", document.error().what);
  return std::move(*document);
}

Outcome<json::Document> payload_object(const SignedRequest& request) {
  auto document = payload_json(request);
  if (!document) return refuse(std::move(document.error()));
  if (!document->root().is_object())
    return refuse(ProblemType::kMalformed, "payload.object", "the payload is not a JSON object");
  return std::move(*document);
}

Outcome<void> require_read(const SignedRequest& request) {
  if (request.is_read()) return {};
  return refuse(ProblemType::kMalformed, "payload.not-empty",
                "this resource takes POST-as-GET: an empty payload");
}

Problem not_found() {
  return Problem::of(ProblemType::kMalformed, "not-found",
                     "there is no such resource for this account")
      .with_status(404);
}

}  // namespace keyward::acme
