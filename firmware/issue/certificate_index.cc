#include "firmware/issue/certificate_index.h"

#include "firmware/crypto/crypto.h"
#include "firmware/issue/serial.h"
#include "firmware/x509/der.h"

namespace keyward::issue {
namespace {

// TBSCertificate (RFC 5280 §4.1.2): version, serialNumber, signature, issuer, validity, subject,
// subjectPublicKeyInfo.
std::optional<Digest256> spki_of_tbs(ByteView tbs_der) {
  x509::DerReader outer(tbs_der);
  auto tbs = outer.sequence();
  if (!tbs) return std::nullopt;
  for (int i = 0; i < 6; ++i) {
    if (!tbs->any()) return std::nullopt;
  }
  const auto spki = tbs->element_whole(x509::tag::kSequence);
  if (!spki) return std::nullopt;
  return crypto::sha256(*spki);
}

}  // namespace

RevocationClaim::~RevocationClaim() {
  if (index_ == nullptr) return;
  const std::lock_guard lock(index_->mutex_);
  index_->busy_.erase(serial_key_);
}

std::optional<Digest256> CertificateIndex::key_of(const IntentRow& intent) const {
  return by_key_ ? spki_of_tbs(intent.tbs_der) : std::nullopt;
}

void CertificateIndex::insert(std::uint64_t serial_key, const IssuedPlace& place,
                              const std::optional<Digest256>& spki) {
  entries_[serial_key].place = place;
  if (spki) by_spki_[*spki].push_back(serial_key);
}

void CertificateIndex::note_issued(const IntentRow& intent, const IssuedPlace& place) {
  const auto spki = key_of(intent);
  const std::lock_guard lock(mutex_);
  insert(Serials::key_of(intent.serial), place, spki);
}

void CertificateIndex::note_intent(std::uint64_t row, const IntentRow& intent,
                                   const RowPlace& place) {
  const std::lock_guard lock(mutex_);
  pending_[row] = {Serials::key_of(intent.serial), place, key_of(intent)};
}

void CertificateIndex::note_outcome(const OutcomeRow& outcome, const RowPlace& place) {
  const std::lock_guard lock(mutex_);
  const auto pending = pending_.find(outcome.intent_row);
  if (pending == pending_.end()) return;
  if (outcome.result == OutcomeResult::kIssued)
    insert(pending->second.serial_key, {pending->second.intent, place, std::nullopt},
           pending->second.spki);
  pending_.erase(pending);
}

void CertificateIndex::note_revocation(const RevocationRow& row, std::int64_t time_ms) {
  const auto key = Serials::key_of(row.serial);
  const std::lock_guard lock(mutex_);
  entries_[key].revoked = true;
  revocations_[key] = {time_ms, row.reason};
  if (row.compromised_spki_sha256) compromised_.insert(*row.compromised_spki_sha256);
}

std::optional<IssuedPlace> CertificateIndex::find(ByteView serial) const {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(Serials::key_of(serial));
  if (entry == entries_.end()) return std::nullopt;
  return entry->second.place;
}

bool CertificateIndex::is_revoked(ByteView serial) const {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(Serials::key_of(serial));
  return entry != entries_.end() && entry->second.revoked;
}

std::optional<CertificateIndex::Revocation> CertificateIndex::revocation_of(ByteView serial) const {
  const std::lock_guard lock(mutex_);
  const auto found = revocations_.find(Serials::key_of(serial));
  if (found == revocations_.end()) return std::nullopt;
  return found->second;
}

Verdict<RevocationClaim> CertificateIndex::claim(ByteView serial) {
  const auto key = Serials::key_of(serial);
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(key);
  if (entry == entries_.end())
    return refuse("certificate-unknown", "the certificate was not issued here");
  if (entry->second.revoked)
    return refuse("revocation-already", "the certificate is revoked already");
  if (!busy_.insert(key).second) {
    return refuse_for_now("revocation-busy", "the certificate is being revoked",
                          limits::kHsmAwayRetryMs);
  }
  return RevocationClaim(this, key);
}

bool CertificateIndex::is_compromised(const Digest256& spki_sha256) const {
  const std::lock_guard lock(mutex_);
  return compromised_.contains(spki_sha256);
}

std::vector<IssuedPlace> CertificateIndex::made_out_to(const Digest256& spki_sha256) const {
  std::vector<IssuedPlace> out;
  const std::lock_guard lock(mutex_);
  const auto found = by_spki_.find(spki_sha256);
  if (found == by_spki_.end()) return out;
  for (auto key = found->second.rbegin(); key != found->second.rend(); ++key) {
    if (out.size() >= limits::kPossessionCertificatesMax) break;
    out.push_back(entries_.at(*key).place);
  }
  return out;
}

}  // namespace keyward::issue
