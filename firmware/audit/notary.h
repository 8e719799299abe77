// Owns when and how the ledger's head is signed and anchored, and the check at start that the ledger
// is the one that the counter has seen (DESIGN §2.7, docs/adr/0011). Must not know tasks.
//
// Order of a head: rows durable, signed with the counter's NEXT value, line durable, counter
// advanced. So a crash anywhere leaves the counter at the last head's value or one below it; a
// counter above the last head means that heads were taken away.
// Errors: Failures with the codes named below. Threads: any; one thing at a time.
#pragma once

#include <mutex>

#include "firmware/audit/head_file.h"
#include "firmware/issue/ledger.h"
#include "firmware/issue/verdict.h"
#include "hal/signing_token.h"

namespace keyward::audit {

// The platform's counter, as the signer reaches it.
class Anchor {
 public:
  virtual ~Anchor() = default;
  // Absent: there is no counter yet.
  virtual issue::Verdict<std::optional<std::uint64_t>> read() = 0;
  virtual issue::Verdict<std::uint64_t> make() = 0;
  // To from + 1, if it stands at `from`; else it stays. What it stands at afterwards.
  virtual issue::Verdict<std::uint64_t> advance(std::uint64_t from, const Digest256& line) = 0;
};

// What an operator wrote, read: kBadInput, kRefused (not signed by whoever must).
using AcceptanceReader = std::function<Result<Acceptance>(std::string_view text)>;

struct NotaryConfig {
  std::string directory;  // <signer state>/audit
  std::string key_label;
  std::optional<Bytes> certified_spki;  // of the audit certificate, if there is one
  std::uint64_t every_rows = limits::kAuditHeadRows;
  std::int64_t every_ms = limits::kAuditHeadMs;
  std::function<void(const SignedHead&)> note;  // hears of each head once its line is durable
  AcceptanceReader read_acceptance = parse_acceptance;  // where operators sign: their order
};

// The newest head, for whoever wants to keep it elsewhere.
struct NewestHead {
  std::string line;  // as in heads.jsonl, without the line's end; empty: there is none
  std::int64_t time_ms = 0;
  std::optional<std::uint64_t> row;  // the newest that it covers
};

class Notary {
 public:
  // `anchor` null: heads are not anchored. kUnavailable, kCorrupt (heads.jsonl).
  static Result<std::unique_ptr<Notary>> open(NotaryConfig config, issue::Ledger& ledger,
                                              hal::SigningToken& token, Anchor* anchor,
                                              const Clock& clock);

  // Must pass before anything is issued. "audit-key-unusable", "hsm-away", "head-not-ours" (the last
  // head is not signed by the key, or of another ledger), "ledger-behind-head" (rows that it covers
  // are gone), "ledger-rolled-back" (the counter is ahead), "anchor-foreign" (the counter is behind:
  // another TPM), "anchor-lost" (heads were anchored, now there is no counter), and the anchor's.
  // From "ledger-behind-head" on an operator may accept them (accepted.json; operations/audit.md).
  issue::Verdict<void> check();
  bool cleared() const;
  // An operator's acceptance waits for the head that puts it on record.
  bool accepts_a_loss() const;
  // The last head is one with an acceptance: what followed it may not have been done before an end.
  bool last_head_accepts() const;
  bool due() const;
  // Signs and anchors what is not yet; without anything new nothing happens. "audit-not-cleared",
  // "ledger-unavailable", "hsm-away", "hsm-signature", the anchor's.
  issue::Verdict<void> make(std::string_view cause);
  std::uint64_t signatures_made() const;  // since the process started
  std::uint64_t unsigned_rows() const;
  bool anchored() const { return anchor_ != nullptr; }
  NewestHead newest() const;  // waits for no token

 private:
  Notary(NotaryConfig config, HeadFile file, issue::Ledger& ledger, hal::SigningToken& token,
         Anchor* anchor, const Clock& clock);
  issue::Verdict<void> check_key();
  issue::Verdict<void> check_last_head();
  issue::Verdict<void> check_anchor();
  issue::Verdict<void> accept_or_refuse(wire::Failure failure);
  issue::Verdict<void> settle_counter();
  issue::Verdict<void> sign(const issue::LedgerHead& point, std::string_view cause);
  bool anchor_pending() const;  // mutex_ held
  void note_newest();           // mutex_ held, or before anybody else knows this
  std::uint64_t unsigned_rows_locked() const;
  std::string path(std::string_view name) const;

  NotaryConfig config_;
  issue::Ledger& ledger_;
  hal::SigningToken& token_;
  Anchor* anchor_;
  const Clock& clock_;
  const std::uint64_t rows_at_start_;
  mutable std::mutex mutex_;
  HeadFile file_;
  std::optional<crypto::PublicKey> key_;
  std::optional<std::uint64_t> counter_;  // as last seen
  std::optional<Acceptance> accepted_;    // goes into the next head
  bool cleared_ = false;
  std::int64_t last_made_ms_ = 0;  // monotonic
  std::uint64_t signatures_made_ = 0;
  mutable std::mutex newest_mutex_;  // mutex_ is held while the token signs
  NewestHead newest_;
};

// What a refused check leaves for `keywardctl audit accept-rollback`, and what that leaves: the same
// with a reason. kBadInput.
inline constexpr std::string_view kRefusedFile = "refused.json", kAcceptedFile = "accepted.json",
                                  kHeadsFile = "heads.jsonl";
std::string acceptance_text(const Acceptance& acceptance);

}  // namespace keyward::audit
