#include "firmware/acme/recovery_proofs.h"

#include <algorithm>
#include <array>

#include "firmware/log/log.h"
#include "firmware/x509/certificate.h"

namespace keyward::acme {
namespace {

struct MethodRow {
  RecoveryMethod method;
  std::string_view name;
};
constexpr std::array kMethods = std::to_array<MethodRow>({
    {RecoveryMethod::kContact, "contact"},
    {RecoveryMethod::kBinding, "binding"},
    {RecoveryMethod::kCertificate, "certificate"},
});

Problem malformed(std::string_view code, std::string_view detail) {
  return Problem::of(ProblemType::kMalformed, code, detail);
}

Outcome<RecoveryMethod> read_method(const Context& context, std::string_view name) {
  const auto& offered = context.config.recovery_methods;
  for (const auto& row : kMethods) {
    if (row.name == name && std::find(offered.begin(), offered.end(), name) != offered.end())
      return row.method;
  }
  return refuse(malformed("recovery.method", "\"method\" is none that is offered here"));
}

// The header of a proof: its own key, the request's URL, no nonce.
Outcome<void> check_proof_header(const jose::ProtectedHeader& header, std::string_view url) {
  if (!header.alg || header.jwk_refused || !header.jwk) {
    return refuse(
        malformed("recovery.proof-form", "the proof's header has no accepted \"alg\" and \"jwk\""));
  }
  if (header.nonce) return refuse(malformed("recovery.proof-form", "a proof has no nonce"));
  if (header.url != url)
    return refuse(malformed("recovery.proof-url", "\"url\" of the proof is not the request's"));
  return {};
}

Outcome<jose::VerifiedJws> verify_proof(const json::Value& proof, std::string_view url) {
  auto jws = jose::FlattenedJws::parse(proof.print());
  if (!jws) return refuse(malformed("recovery.proof-form", jws.error().what));
  auto header = jose::parse_protected(jws->protected_b64);
  if (!header) return refuse(malformed("recovery.proof-form", header.error().what));
  if (auto ok = check_proof_header(*header, url); !ok) return refuse(ok.error());
  auto verified = jose::verify(*jws, header->jwk->key());
  if (!verified) return refuse(malformed("recovery.proof-signature", verified.error().what));
  return std::move(*verified);
}

// The certificate that the proof names, with the key that signed the proof.
Outcome<Bytes> read_proof(const SignedRequest& request, const json::Value& root) {
  const auto proof = root.get("proof");
  if (!proof.is_object())
    return refuse(malformed("recovery.proof-form", "\"proof\" is missing or no object"));
  auto verified = verify_proof(proof, request.verified.header().url);
  if (!verified) return refuse(std::move(verified.error()));
  auto document = json::Document::parse(text_of(verified->payload()), limits::kJwsPayloadBytesMax);
  if (!document || !document->root().is_object())
    return refuse(malformed("recovery.proof-payload", "the proof's payload is no JSON object"));
  const auto payload = document->root();
  if (!payload.get("account").is_string() ||
      payload.get("account").string() != root.get("account").string()) {
    return refuse(malformed("recovery.proof-account", "the proof is about another account"));
  }
  const auto new_key = jose::Jwk::from_json(payload.get("newKey"));
  if (!new_key || new_key->canonical() != request.verified.header().jwk->canonical())
    return refuse(malformed("recovery.proof-key", "the proof is for another new key"));
  const auto der = base64url_decode(payload.get("certificate").string());
  if (!der || der->empty() || der->size() > limits::kCertificateBytesMax)
    return refuse(malformed("recovery.proof-payload", "\"certificate\" is not base64url DER"));
  const auto certificate = x509::parse_certificate(*der);
  const auto& signer = verified->header().jwk->key();
  if (!certificate || !certificate->key ||
      !equal(certificate->key->spki_sha256(), signer.spki_sha256())) {
    return refuse(malformed("recovery.proof-certificate",
                            "the proof is not signed by the certificate's key"));
  }
  return *der;
}

Outcome<wire::ClientJws> read_binding(const json::Value& root) {
  const auto binding = root.get("externalAccountBinding");
  if (!binding.is_object()) {
    return refuse(malformed("binding.form", "\"externalAccountBinding\" is missing or no object"));
  }
  auto jws = jose::FlattenedJws::parse(binding.print());
  if (!jws) return refuse(malformed("binding.form", jws.error().what));
  return wire::ClientJws{std::move(jws->protected_b64), std::move(jws->payload_b64),
                         std::move(jws->signature)};
}

// An unexpired certificate that was issued to this very account.
Answer<bool> certificate_proves(Context& context, const RecoveryAsk& ask) {
  const auto parsed = x509::parse_certificate(ask.certificate);
  if (!parsed) return false;
  auto found = context.backend.store.ask(wire::CertificateFind{parsed->serial});
  if (!found) return tl::unexpected<wire::Failure>(std::move(found.error()));
  if (!found->certificate) return false;
  const auto& record = *found->certificate;
  return record.account_id == ask.account_id && !record.revoked_at_ms &&
         context.clock.utc_ms() < record.not_after_ms && !record.chain.empty() &&
         equal(record.chain.front(), ask.certificate);
}

Answer<bool> binding_proves(Context& context, const RecoveryAsk& ask) {
  auto reply = context.backend.attestation.ask(wire::EabVerify{ask.new_jwk, ask.url, *ask.binding});
  if (!reply) return tl::unexpected<wire::Failure>(std::move(reply.error()));
  return !reply->problem && reply->recovers_account == ask.account_id;
}

}  // namespace

std::string_view to_string(RecoveryMethod method) {
  for (const auto& row : kMethods) {
    if (row.method == method) return row.name;
  }
  return "";
}

Outcome<RecoveryAsk> read_recovery_ask(const Context& context, const SignedRequest& request) {
  auto document = payload_object(request);
  if (!document) return refuse(document.error());
  const auto root = document->root();
  auto method = read_method(context, root.get("method").string());
  if (!method) return refuse(std::move(method.error()));
  RecoveryAsk ask;
  ask.method = *method;
  const auto name = context.urls.account_of(root.get("account").string());
  ask.account_id = name.id;
  if (ask.account_id.empty() || name.tenant != request.match.tenant)
    return refuse(malformed("recovery.account", "\"account\" is no account URL of this server"));
  ask.url = request.verified.header().url;
  ask.new_jwk = request.verified.header().jwk->canonical();
  if (*method == RecoveryMethod::kBinding) {
    auto binding = read_binding(root);
    if (!binding) return refuse(std::move(binding.error()));
    ask.binding = std::move(*binding);
  }
  if (*method == RecoveryMethod::kCertificate) {
    auto certificate = read_proof(request, root);
    if (!certificate) return refuse(std::move(certificate.error()));
    ask.certificate = std::move(*certificate);
  }
  return ask;
}

Answer<bool> proves(Context& context, const RecoveryAsk& ask) {
  switch (ask.method) {
    case RecoveryMethod::kContact:
      return false;  // the code that was sent is the proof
    case RecoveryMethod::kBinding:
      return binding_proves(context, ask);
    case RecoveryMethod::kCertificate:
      return certificate_proves(context, ask);
  }
  return false;
}

}  // namespace keyward::acme
