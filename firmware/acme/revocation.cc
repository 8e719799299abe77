#include "firmware/acme/revocation.h"

#include "firmware/log/log.h"
#include "firmware/x509/certificate.h"

namespace keyward::acme {
namespace {

// Form alone: the signer reads the same payload after it has verified the JWS.
Outcome<Bytes> certificate_in(const SignedRequest& request) {
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  const auto member = document->root().get("certificate");
  if (!member.is_string())
    return refuse(ProblemType::kMalformed, "revocation.form",
                  "\"certificate\" is missing or not a string");
  const auto reason = document->root().get("reason");
  if (reason.exists() && !reason.is_integer())
    return refuse(ProblemType::kMalformed, "revocation.form", "\"reason\" is not an integer");
  auto der = base64url_decode(member.string());
  if (!der || der->empty())
    return refuse(ProblemType::kMalformed, "revocation.encoding",
                  "\"certificate\" is not unpadded base64url");
  return std::move(*der);
}

// False: the store did not answer.
bool mark(Context& context, const wire::CertificateMark& what) {
  const auto reply = context.backend.store.ask(what);
  return reply.has_value();
}

void mark_in_time(Context& context, wire::CertificateMark what) {
  if (mark(context, what)) return;
  const auto key = "mark:" + hex_encode(what.serial);
  const auto posted = context.issuances.post(
      key,
      [&context, what = std::move(what)](int attempt) -> std::optional<std::int64_t> {
        if (mark(context, what)) return std::nullopt;
        return backoff_ms(attempt);
      },
      backoff_ms(0));
  if (!posted) log::warning("revocation not marked in the store", {{"why", posted.error().what}});
}

Problem refused(const wire::Failure& failure) {
  auto problem = problem_from(failure);
  // Like every unknown resource (D-A8).
  if (failure.code == "certificate-unknown") return std::move(problem).with_status(404);
  return problem;
}

}  // namespace

Outcome<HttpResponse> revoke_certificate(Context& context, const SignedRequest& request) {
  auto der = certificate_in(request);
  if (!der) return refuse(der.error());
  wire::CertificateRevoke ask;
  if (request.account) ask.account_jwk = request.account->record.jwk;
  ask.jws = request.original;
  auto revoked = context.backend.signer.ask(ask);
  if (!revoked) {
    const auto& failure = revoked.error();
    if (failure.code == "revocation-already") {
      const auto certificate = x509::parse_certificate(*der, x509::KeyReading::kSkip);
      if (certificate)
        mark_in_time(context, {certificate->serial, context.clock.utc_ms(), std::nullopt});
    }
    return refuse(refused(failure));
  }
  log::info("certificate revoked", {{"serial", hex_encode(revoked->serial)}});
  mark_in_time(context, {std::move(revoked->serial), revoked->revoked_at_ms, revoked->reason});
  HttpResponse response;
  response.status = 200;  // §7.6: an empty body
  return response;
}

}  // namespace keyward::acme
