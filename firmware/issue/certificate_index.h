// Owns the memory of issued certificates: where in the ledger each stands, which are revoked, which
// keys are compromised, and, if asked for, by which keys they were made out. Must not know who may
// revoke (revocation.h).
//
// Rebuilt from the ledger at start. Entries are as many as serials (serial.h bounds them); found by
// the serial's key, so that the caller compares the certificate itself. Threads: any.
#pragma once

#include <mutex>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "firmware/issue/digest_hash.h"
#include "firmware/issue/issued.h"
#include "firmware/issue/verdict.h"

namespace keyward::issue {

class CertificateIndex;

// The right to revoke one certificate, until it ends.
class RevocationClaim {
 public:
  RevocationClaim(CertificateIndex* index, std::uint64_t serial_key)
      : index_(index), serial_key_(serial_key) {}
  RevocationClaim(RevocationClaim&& other) noexcept
      : index_(std::exchange(other.index_, nullptr)), serial_key_(other.serial_key_) {}
  RevocationClaim& operator=(RevocationClaim&&) = delete;
  ~RevocationClaim();

 private:
  CertificateIndex* index_;
  std::uint64_t serial_key_;
};

class CertificateIndex {
 public:
  explicit CertificateIndex(bool by_key = false) : by_key_(by_key) {}

  void note_issued(const IntentRow& intent, const IssuedPlace& place);
  void note_revocation(const RevocationRow& row, std::int64_t time_ms);
  // Rebuilding: the place of an intent until its outcome comes.
  void note_intent(std::uint64_t row, const IntentRow& intent, const RowPlace& place);
  void note_outcome(const OutcomeRow& outcome, const RowPlace& place);

  std::optional<IssuedPlace> find(ByteView serial) const;
  bool is_revoked(ByteView serial) const;
  struct Revocation {
    std::int64_t time_ms = 0;  // UTC
    std::optional<std::uint64_t> reason;
  };
  std::optional<Revocation> revocation_of(ByteView serial) const;
  // "revocation-already", "revocation-busy" (somebody else is at it).
  Verdict<RevocationClaim> claim(ByteView serial);
  bool is_compromised(const Digest256& spki_sha256) const;
  // Newest first, at most limits::kPossessionCertificatesMax; none unless made with `by_key`.
  std::vector<IssuedPlace> made_out_to(const Digest256& spki_sha256) const;

 private:
  friend class RevocationClaim;
  struct Entry {
    IssuedPlace place;
    bool revoked = false;
  };
  void insert(std::uint64_t serial_key, const IssuedPlace& place,
              const std::optional<Digest256>& spki);
  std::optional<Digest256> key_of(const IntentRow& intent) const;

  struct Pending {
    std::uint64_t serial_key = 0;
    RowPlace intent;
    std::optional<Digest256> spki;
  };
  bool by_key_;
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, Entry> entries_;  // by the serial's random octets
  std::unordered_map<std::uint64_t, Revocation> revocations_;
  std::unordered_set<std::uint64_t> busy_;
  std::unordered_set<Digest256, RandomOctetsHash> compromised_;
  std::unordered_map<Digest256, std::vector<std::uint64_t>, RandomOctetsHash> by_spki_;
  std::unordered_map<std::uint64_t, Pending> pending_;  // during rebuilding alone
};

}  // namespace keyward::issue
