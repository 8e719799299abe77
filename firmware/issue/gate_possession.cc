// How the gate judges a proof of possession of an earlier certificate's key (possession.h): the one
// proof that the signer takes itself, since it alone knows what it certified.
#include <algorithm>

#include "firmware/identifier/identifier.h"
#include "firmware/issue/gate.h"
#include "firmware/issue/possession.h"

namespace keyward::issue {
namespace {

// What the client is told: an ACME error type for each reason.
wire::ChallengeProblem problem_of(const wire::Failure& failure) {
  const bool malformed = failure.code == "jws-malformed" || failure.code == "possession-payload";
  std::string type = malformed ? "malformed" : "unauthorized";
  if (failure.code == "jws-algorithm") type = "badSignatureAlgorithm";
  if (failure.code == "jws-key-refused") type = "badPublicKey";
  return {std::move(type), failure.code, failure.detail};
}

Verdict<void> check_identifier(const wire::Identifier& id, const GrantRules& rules) {
  const auto canonical = identifier::canonical(id.type, id.value);
  if (!canonical || *canonical != id || identifier::is_wildcard(id))
    return bad_input("identifier-malformed", "the challenge's identifier is not canonical");
  if (id.type != wire::IdentifierType::kDns && id.type != wire::IdentifierType::kIp)
    return refuse("possession-identifier", "only names are proved by an earlier certificate");
  const auto& own = rules.appliance_names;
  if (std::find(own.begin(), own.end(), id) != own.end())
    return refuse("possession-identifier", "the appliance's names are its own");
  return {};
}

}  // namespace

Verdict<wire::PossessionMintReply> Gate::mint_possession(
    const wire::PossessionMint& request) const {
  if (!config_.possession) return refuse("possession-off", "proof of possession is not served");
  ISSUE_CHECK(check_identifier(request.identifier, grant_rules_));
  const auto end_ms = std::min(request.expires_at_ms, clock_.utc_ms() + limits::kPossessionTokenMs);
  return wire::PossessionMintReply{
      mint_possession_token(ticket_key_, request.thumbprint, request.identifier, end_ms)};
}

// The digest of a certificate that stands for the identifier: made out to this key, valid, not
// revoked.
Verdict<Digest256> Gate::find_proof(const wire::PossessionVerify& request,
                                    const jose::Jwk& key) const {
  if (certificates_.is_compromised(key.key().spki_sha256()))
    return refuse("possession-certificate", "the key was reported as compromised");
  for (const auto& place : certificates_.made_out_to(key.key().spki_sha256())) {
    ISSUE_TRY(stored, read_certificate(place));
    if (certificates_.is_revoked(stored.intent.serial)) continue;
    const auto certificate = x509::parse_certificate(stored.der, x509::KeyReading::kSkip);
    if (!certificate) return refuse(certificate.error(), "ledger-unavailable");
    if (proves_identifier(*certificate, stored.intent, request.identifier, clock_.utc_ms()))
      return crypto::sha256(stored.der);
  }
  return refuse("possession-certificate",
                "no valid certificate of this CA holds this key and the identifier");
}

// The account's key signs nothing here: acme may name any, and the statement says which one it is
// for. A key that was replaced gets nothing any more.
Verdict<wire::PossessionVerifyReply> Gate::verify_possession(
    const wire::PossessionVerify& request) {
  if (!config_.possession) return refuse("possession-off", "proof of possession is not served");
  ISSUE_CHECK(check_identifier(request.identifier, grant_rules_));
  const auto account = keys_.get(request.account_jwk);
  if (!account) return refuse(account.error(), "jwk-malformed");
  const auto now_ms = clock_.utc_ms();
  const auto& thumbprint = (*account)->thumbprint();
  if (links_->is_replaced(thumbprint))
    return refuse("key-replaced", "the account has another key by now");
  wire::PossessionVerifyReply reply;
  const auto judge = [&]() -> Verdict<Digest256> {
    ISSUE_CHECK(
        check_possession_token(ticket_key_, request.token, thumbprint, request.identifier, now_ms));
    ISSUE_TRY(key, read_possession(request, config_.base_url));
    return find_proof(request, key);
  };
  const auto evidence = judge();
  if (!evidence && evidence.error().code == "ledger-unavailable")
    return tl::unexpected<wire::Failure>(evidence.error());
  if (!evidence) {
    reply.problem = problem_of(evidence.error());
    return reply;
  }
  reply.validated_at_ms = now_ms;
  reply.grant_expires_at_ms = now_ms + limits::kPossessionGrantMs;
  const Grant grant{
      thumbprint,   request.identifier, false,        wire::ValidationMethod::kPossession01,
      std::nullopt, std::nullopt,       std::nullopt, reply.grant_expires_at_ms,
      *evidence};
  if (const auto recorded = grants_->record(grant); !recorded)
    return refuse(recorded.error(), "grant-not-recorded");
  return reply;
}

}  // namespace keyward::issue
