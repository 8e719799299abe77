// Owns activated attestation keys until their certificates are made: which key lives in a TPM whose
// endorsement key proved itself (TPM 2.0 Part 1, ActivateCredential), for which account and session,
// and what the certificate may say. Must not know how a key is activated, nor certificates.
//
// Journalled like the grants of one order: outlives the process, but not a power cut, after which
// the client begins again. A damaged journal loses grants and never makes one. Bounded: an account
// loses its own grant that expires first; a full book refuses. Threads: any.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "firmware/issue/digest_hash.h"
#include "firmware/issue/verdict.h"
#include "firmware/wire/messages/grant_ak.h"
#include "hal/base/clock.h"

namespace keyward::issue {

class RecordFile;

// "identifier-malformed" (none, not a device's, not canonical), "grant-not-permitted" (too many
// identifiers, no session, TPM facts that are none, lives too long), "ak-key-malformed",
// "grant-expired".
Verdict<void> check_ak_grant(const wire::GrantAk& grant, std::int64_t now_ms);

class AkBook {
 public:
  struct Caps {
    std::size_t grants_max = limits::kAkGrantsMax;
    std::size_t per_account_max = limits::kAkGrantsPerAccountMax;
  };
  static Result<std::unique_ptr<AkBook>> open(const std::string& path, const Clock& clock,
                                              const Caps& caps);
  static Result<std::unique_ptr<AkBook>> open(const std::string& path, const Clock& clock) {
    return open(path, clock, Caps{});
  }
  ~AkBook();

  // Journalled, then live; the same session again replaces. kExhausted: full of live grants.
  Status record(const wire::GrantAk& grant);
  bool any_live(const Digest256& thumbprint, std::int64_t now_ms) const;
  // For one of the account's keys; live alone.
  std::optional<wire::GrantAk> find(std::span<const Digest256> thumbprints,
                                    const Digest256& session_sha256, std::int64_t now_ms) const;
  // Its certificate was made, and stands in the ledger.
  void drop(std::span<const Digest256> thumbprints, const Digest256& session_sha256);
  std::size_t size() const;
  bool damaged_at_start() const { return damaged_; }

 private:
  AkBook(std::string path, const Clock& clock, const Caps& caps)
      : path_(std::move(path)), clock_(clock), caps_(caps) {}
  Status add(const wire::GrantAk& grant, std::int64_t now_ms);  // mutex_ held
  void prune(std::int64_t now_ms);                              // mutex_ held
  Status rewrite();                                             // mutex_ held

  std::string path_;
  const Clock& clock_;
  Caps caps_;
  bool damaged_ = false;
  mutable std::mutex mutex_;
  std::shared_ptr<RecordFile> file_;
  std::unordered_map<Digest256, std::vector<wire::GrantAk>, RandomOctetsHash> by_account_;
  std::size_t count_ = 0;
};

}  // namespace keyward::issue
