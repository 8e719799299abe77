// How the gate certifies an activated attestation key. No order and no CSR: the client's own request
// names the session, and what `attestation` granted for this account and this session says which key
// it is, in which device. The same request again gets the same certificate.
#include <algorithm>

#include "firmware/issue/gate.h"
#include "firmware/json/json.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kActivatePath = "/acme/attestation-ca/activate",
                           kTenantPath = "/acme/t/",
                           kTenantActivatePath = "/attestation-ca/activate";

// Every tenant has the resource; which account may use it at all, the grant says.
bool is_activation(std::string_view url, const std::string& base_url) {
  if (!url.starts_with(base_url)) return false;
  url.remove_prefix(base_url.size());
  if (url == kActivatePath) return true;
  if (!url.starts_with(kTenantPath) || !url.ends_with(kTenantActivatePath)) return false;
  if (url.size() <= kTenantPath.size() + kTenantActivatePath.size()) return false;
  const auto tenant =
      url.substr(kTenantPath.size(), url.size() - kTenantPath.size() - kTenantActivatePath.size());
  return tenant.size() <= limits::kTenantBytesMax && tenant.find('/') == std::string_view::npos;
}

Verdict<Digest256> session_of(const jose::VerifiedJws& jws) {
  const auto document = json::Document::parse(text_of(jws.payload()));
  if (document && document->root().is_object()) {
    const auto session = document->root().get("session").string();
    if (!session.empty()) return crypto::sha256(view_of(session));
  }
  return bad_input("payload-malformed", "the request names no session");
}

// It stands where an order has its ticket: the account (by its first key) and the session.
TicketId claim_id(const Digest256& origin, const Digest256& session_sha256) {
  Bytes text = to_bytes("keyward-ak-session-1");
  append(text, origin);
  append(text, session_sha256);
  const auto digest = crypto::sha256(text);
  TicketId id{};
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

}  // namespace

struct Gate::AkRequest {
  VerifiedRequest verified;
  Digest256 session_sha256{};
  TicketId id{};
  std::optional<wire::GrantAk> grant;  // absent: only what was issued before can answer
};

struct Gate::CheckedAk {
  const AkRequest& request;
  const Profile& profile;
  LintedTbs tbs;
  BudgetHolds budget;
  QuotaHold quota;
};

Verdict<wire::GrantAkReply> Gate::grant_ak(const wire::GrantAk& request) {
  ISSUE_CHECK(check_ak_grant(request, clock_.utc_ms()));
  if (profiles_.ak_profile() == nullptr)
    return refuse("ak-not-offered", "no profile certifies attestation keys");
  if (const auto recorded = aks_->record(request); !recorded)
    return refuse(recorded.error(), "grant-not-recorded");
  return wire::GrantAkReply{};
}

Verdict<void> Gate::admit_ak(std::string_view account_jwk) {
  const auto now_ms = clock_.utc_ms();
  for (const auto& thumbprint : links_->with_earlier(crypto::sha256(view_of(account_jwk)))) {
    if (aks_->any_live(thumbprint, now_ms) || issued_.any_of(thumbprint, now_ms)) return {};
  }
  return refuse("no-grant", "no attestation key was activated for this account");
}

Verdict<Gate::AkRequest> Gate::open_ak(const wire::AkIssue& request) {
  ISSUE_TRY(verified, verify(request.account_jwk, request.jws));
  if (!is_activation(verified.jws().header().url, config_.base_url))
    return refuse("jws-url", "the client signed another URL than the attestation CA's");
  ISSUE_TRY(session, session_of(verified.jws()));
  const auto id = claim_id(verified.keys().back(), session);
  auto grant = aks_->find(verified.keys(), session, clock_.utc_ms());
  if (!grant && !issued_.reached_ledger(id, session))
    return refuse("ak-grant-missing", "no key was activated in this session of this account");
  return AkRequest{std::move(verified), session, id, std::move(grant)};
}

Verdict<Gate::CheckedAk> Gate::check_ak(const AkRequest& request) {
  if (!request.grant) return refuse("ak-grant-missing", "the activation of this session is over");
  const Profile* profile = profiles_.ak_profile();
  if (profile == nullptr) return refuse("ak-not-offered", "no profile certifies attestation keys");
  const auto& grant = *request.grant;
  const auto key = crypto::PublicKey::from_spki(grant.spki);
  if (!key) return refuse(key.error(), "ak-key-malformed");
  ISSUE_CHECK(check_csr_key(*key, request.verified.account()->key(), *profile));
  if (certificates_.is_compromised(key->spki_sha256()))
    return refuse("csr-key-compromised", "the attestation key was reported as compromised");
  const auto& keys = request.verified.keys();
  const auto now_ms = clock_.utc_ms();
  ISSUE_TRY(quota, accounts_->reserve(keys, profile->name, now_ms));
  ISSUE_TRY(budget, budget_.reserve(profile->name, keys.back(), now_ms));
  ISSUE_CHECK(check_clock());
  const auto validity = validity_of(*profile, issuer_, backdate_of(*profile), now_ms);
  if (!validity) return refuse("issuer-expired", "the issuing CA's time is over, or has not come");
  ISSUE_CHECK(check_token_ready());
  const auto serial = serials_.next();
  if (!serial) return refuse(serial.error(), "ledger-unavailable");
  CertificatePlan plan{*profile, issuer_, grant.identifiers, *key, *serial, *validity};
  plan.list = crl_->shard_for(*serial);
  plan.tpm = TpmFacts{grant.manufacturer, grant.model, grant.version};
  auto tbs = build_profile_tbs(plan);
  if (!tbs) return refuse(tbs.error(), "lint-failed");
  ISSUE_TRY(linted, lint_tbs(std::move(*tbs), plan, backdate_of(*profile)));
  return CheckedAk{request, *profile, std::move(linted), std::move(budget), std::move(quota)};
}

Verdict<IntentRecorded> Gate::record_ak(CheckedAk& checked, OrderClaim& claim) {
  const auto& request = checked.request;
  const auto& grant = *request.grant;
  IntentRow row;
  row.serial = checked.tbs.serial();
  row.tbs_der = checked.tbs.tbs_der();
  row.list = checked.tbs.list();
  row.ticket_id = request.id;
  row.ticket_expires_at_ms = grant.expires_at_ms + limits::kAkReplayMs;
  row.thumbprint = request.verified.account()->thumbprint();
  row.jws_sha256 = request.verified.jws_sha256();
  row.csr_sha256 = request.session_sha256;  // there is no CSR: what the claim is bound to instead
  row.profile = checked.profile.name;
  row.eab_kid = checked.quota.kid();
  row.grants.push_back({crypto::sha256(wire::encode_body(grant)),
                        wire::ValidationMethod::kDeviceAttest01, grant.evidence_sha256});
  auto recorded = append_intent(row, std::move(checked.tbs), claim);
  checked.budget.keep();  // also after a failure it may stand on the disk
  checked.quota.keep();
  return recorded;
}

Verdict<wire::AkIssueReply> Gate::ak_answer(const Bytes& der) const {
  const auto certificate = x509::parse_certificate(der, x509::KeyReading::kSkip);
  if (!certificate) return refuse(certificate.error(), "ledger-unavailable");
  wire::AkIssueReply reply;
  reply.serial = certificate->serial;
  reply.chain.push_back(der);
  reply.chain.insert(reply.chain.end(), issuer_.chain_to_send.begin(), issuer_.chain_to_send.end());
  reply.not_after_ms = certificate->not_after_ms;
  return reply;
}

Verdict<wire::AkIssueReply> Gate::conclude_ak(const AkRequest& request,
                                              const IntentRecorded& intent,
                                              const VerifiedCertificate& certificate,
                                              OrderClaim& claim) {
  ISSUE_CHECK(record_issued(intent, certificate, claim));
  aks_->drop(request.verified.keys(), request.session_sha256);
  return ak_answer(certificate.der());
}

Verdict<wire::AkIssueReply> Gate::issue_ak(const wire::AkIssue& message) {
  ISSUE_CHECK(admit_ak(message.account_jwk));
  ISSUE_TRY(request, open_ak(message));
  const auto now_ms = clock_.utc_ms();
  const auto until_ms =
      (request.grant ? request.grant->expires_at_ms : now_ms) + limits::kAkReplayMs;
  const OrderKey key{request.id, request.verified.account()->thumbprint(), request.session_sha256,
                     until_ms, std::nullopt};
  ISSUE_TRY(seen, issued_.claim(key, now_ms));
  if (const auto* place = std::get_if<IssuedPlace>(&seen)) {
    ISSUE_TRY(stored, read_certificate(*place));
    ISSUE_TRY(reply, ak_answer(stored.der));
    reply.replayed = true;
    return std::move(reply);
  }
  ISSUE_CHECK(check_account_open(request.verified.account()->thumbprint()));
  ISSUE_CHECK(check_issuing_allowed());
  auto& claim = std::get<OrderClaim>(seen);
  ISSUE_TRY(checked, check_ak(request));
  ISSUE_TRY(intent, record_ak(checked, claim));
  ISSUE_TRY(certificate, sign(intent));
  return conclude_ak(request, intent, certificate, claim);
}

}  // namespace keyward::issue
