// How the gate revokes a certificate (RFC 8555 §7.6): verify, find it in the ledger, judge by whose
// right and why, write the row, and only then answer.
#include <algorithm>

#include "firmware/issue/gate.h"
#include "firmware/issue/revocation.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kRevokePath = "/revoke-cert";

}  // namespace

// Who signed: an account, or whoever holds the key in the header.
struct Gate::Revoker {
  Digest256 thumbprint{};
  Digest256 spki_sha256{};
  std::vector<Digest256> account_keys;  // none: no account
  std::string kid;
  jose::VerifiedJws jws;
};

Verdict<Gate::Revoker> Gate::verify_revoker(const wire::CertificateRevoke& request) {
  if (request.account_jwk) {
    ISSUE_TRY(account, verify(*request.account_jwk, request.jws));
    const auto& jwk = *account.account();
    return Revoker{jwk.thumbprint(), jwk.key().spki_sha256(), account.keys(), account.kid(),
                   account.jws()};
  }
  ISSUE_TRY(own, verify_own_key_jws(request.jws));
  return Revoker{own.key.thumbprint(), own.key.key().spki_sha256(), {}, "", std::move(own.jws)};
}

// The ledger's certificate of that serial, if it is this one octet by octet.
Verdict<Gate::StoredCertificate> Gate::find_certificate(ByteView der) const {
  const auto certificate = x509::parse_certificate(der, x509::KeyReading::kSkip);
  if (!certificate) return bad_input("payload-malformed", "certificate is not one");
  const auto place = certificates_.find(certificate->serial);
  if (!place) return refuse("certificate-unknown", "the certificate was not issued here");
  ISSUE_TRY(stored, read_certificate(*place));
  if (!equal(stored.der, der))
    return refuse("certificate-unknown", "the certificate was not issued here");
  return std::move(stored);
}

// The key's holder first: only as such may it say that the key is compromised.
Verdict<RevocationAuthority> Gate::authority_of(const Revoker& revoker,
                                                const StoredCertificate& stored,
                                                const x509::Certificate& certificate) const {
  const auto& keys = revoker.account_keys;
  if (keys.empty()) {
    if (crypto::sha256(certificate.spki_der) == revoker.spki_sha256)
      return RevocationAuthority::kCertificateKey;
    return refuse("revocation-unauthorized", "the key in the request is not the certificate's");
  }
  if (std::find(keys.begin(), keys.end(), stored.intent.thumbprint) != keys.end())
    return RevocationAuthority::kAccount;
  if (holds_all_names(certificate, stored.intent, grants_->table(), keys, revoker.kid,
                      clock_.utc_ms())) {
    return RevocationAuthority::kAuthorizations;
  }
  return refuse("revocation-unauthorized",
                "the certificate is another account's, and not all of its names were proved");
}

Verdict<wire::CertificateRevokeReply> Gate::revoke(const wire::CertificateRevoke& request) {
  ISSUE_TRY(revoker, verify_revoker(request));
  ISSUE_TRY(signed_place, place_of(revoker.jws, "revokeCert's"));
  if (signed_place.path != kRevokePath)
    return refuse("jws-url", "the client signed another URL than revokeCert's");
  ISSUE_TRY(wanted, read_revocation(revoker.jws));
  ISSUE_TRY(stored, find_certificate(wanted.certificate_der));
  const auto certificate = x509::parse_certificate(stored.der, x509::KeyReading::kSkip);
  if (!certificate) return refuse(certificate.error(), "ledger-unavailable");
  ISSUE_TRY(authority, authority_of(revoker, stored, *certificate));
  // RFC 8739 §3.1.3: a series is ended by its cancellation; its certificates are short-lived.
  if (stored.intent.star_period)
    return refuse("revocation-star", "certificates of a series are not revoked: cancel the order");
  ISSUE_CHECK(check_reason(wanted.reason, authority));
  const auto claim = certificates_.claim(stored.intent.serial);
  if (!claim) return tl::unexpected<wire::Failure>(claim.error());
  RevocationRow row{stored.intent_row, stored.intent.serial,      wanted.reason,
                    authority,         revoker.thumbprint,        digest_of(request.jws),
                    std::nullopt,      certificate->not_after_ms, std::nullopt};
  row.list = stored.intent.list;
  if (wanted.reason == kReasonKeyCompromise)
    row.compromised_spki_sha256 = crypto::sha256(certificate->spki_der);
  // Rows reach the list in the ledger's order: a list says up to which row it is whole.
  const std::lock_guard lock(revoke_mutex_);
  const auto appended = ledger_->append_revocation(row);
  if (!appended) return refuse(appended.error(), "ledger-unavailable");
  certificates_.note_revocation(row, appended->time_ms);
  crl_->note_revocation(row, appended->number, appended->time_ms, certificate->not_after_ms);
  return wire::CertificateRevokeReply{stored.intent.serial, appended->time_ms, wanted.reason};
}

Verdict<CertificateStatus> Gate::status_of(ByteView serial) const {
  const auto place = certificates_.find(serial);
  if (!place) return CertificateStatus{};
  const auto intent = ledger_->read(place->intent);
  if (!intent) return refuse(intent.error(), "ledger-unavailable");
  // The index knows 64 bits of a serial: others may share them.
  if (!intent->intent || !equal(intent->intent->serial, serial)) return CertificateStatus{};
  CertificateStatus out;
  out.state = x509::OcspState::kGood;
  if (const auto revocation = certificates_.revocation_of(serial)) {
    out.state = x509::OcspState::kRevoked;
    out.revoked_ms = revocation->time_ms;
    out.reason = revocation->reason;
  }
  return out;
}

Verdict<void> Gate::may_say_status() {
  if (!key_ready_) return refuse_for_now("hsm-away", "not ready yet", limits::kHsmAwayRetryMs);
  return time_guard_.check(ledger_->last_time_ms());
}

}  // namespace keyward::issue
