// Owns the certificate revocation list (RFC 5280 §5): its entries in memory, its octets, when a new
// one is due, and the newest one on disk. Must not know who may revoke (revocation.h), nor tasks.
//
// One whole list, version 2, for everything that the issuing key signed: authority key identifier,
// cRLNumber, reasonCode where a reason was given. An entry stays until a list was issued after its
// certificate's end (RFC 5280 §3.3). The ledger holds a row before each list is signed and one after
// it; the number is the ledger's, so that none comes twice. The newest list lies in `path`, whole or
// not at all; after a restart it is served again if the ledger knows it as the newest.
// With the token away the old list stays. Threads: any; make() one at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "firmware/issue/issuer.h"
#include "firmware/issue/ledger.h"
#include "firmware/issue/time_guard.h"
#include "firmware/issue/verdict.h"
#include "firmware/wire/messages/crl_get.h"

namespace keyward::issue {

struct RevokedCertificate {
  Bytes serial;
  std::int64_t revoked_ms = 0;
  std::optional<std::uint64_t> reason;  // RFC 5280 §5.3.1; unspecified is left out there
  std::int64_t not_after_ms = 0;
  std::uint64_t row = 0;  // of the revocation
};

// Entries in the order of their revocation, each encoded once. Threads: one at a time.
class RevokedEntries {
 public:
  explicit RevokedEntries(std::size_t bytes_max = limits::kCrlEntriesBytesMax)
      : bytes_max_(bytes_max) {}
  // kExhausted: as many as a list may hold.
  Status add(const RevokedCertificate& revoked);
  // A list that was made at `this_update_ms` held everything up to row `until_row`: entries whose
  // certificate had ended by then have done their duty.
  void drop_ended(std::int64_t this_update_ms, std::uint64_t until_row);
  Bytes joined() const;
  std::uint64_t count() const { return entries_.size(); }
  std::uint64_t until_row() const { return until_row_; }
  // Nine tenths: what is issued from here on might not find room when it is revoked.
  bool nearly_full() const { return bytes_ > bytes_max_ / 10 * 9; }

 private:
  struct Entry {
    std::int64_t not_after_ms = 0;
    std::uint64_t row = 0;
    Bytes der;
  };
  std::size_t bytes_max_;
  std::vector<Entry> entries_;
  std::size_t bytes_ = 0;
  std::uint64_t until_row_ = 0;
};

struct CrlContent {
  std::uint64_t number = 0;
  std::int64_t this_update_ms = 0;  // whole seconds
  std::int64_t next_update_ms = 0;
  ByteView entries;  // revokedCertificates' content; empty: the field is absent
};
Bytes build_crl_tbs(const Issuer& issuer, const CrlContent& content);

struct CrlConfig {
  std::int64_t validity_ms = 0;  // to nextUpdate; 0: no lists are made
  std::string path;
  std::string key_label;
  // After a revocation: others that follow at once are in the same list.
  std::int64_t gather_ms = limits::kCrlGatherMs;
  std::size_t entries_bytes_max = limits::kCrlEntriesBytesMax;
};

// How the lists are, for an operator (docs/operations/monitoring.md).
struct CrlFigures {
  std::uint64_t number = 0;  // of the newest list; 0: there is none
  std::size_t bytes = 0;
  std::int64_t this_update_ms = 0;  // UTC
  std::int64_t next_update_ms = 0;
  std::uint64_t entries = 0;  // of the next list
};

class Crl {
 public:
  // Without lists if the issuing certificate may not sign them (RFC 5280 §4.2.1.3, cRLSign).
  Crl(CrlConfig config, const Issuer& issuer, hal::SigningToken& token, const Clock& clock);

  // From the ledger, row by row, before start(); `not_after_ms` for rows that do not say it.
  void note_revocation(const RevocationRow& row, std::uint64_t number, std::int64_t time_ms,
                       std::int64_t not_after_ms);
  void note_list(const LedgerRow& row);
  // Reads the newest list back. A damaged or foreign file counts as none: a new list follows.
  void start(Ledger& ledger);

  // Before start(); outlives this. Without one only a clock behind the ledger is refused.
  void set_time_guard(TimeGuard& guard) { time_guard_ = &guard; }
  // The CA key was found and checked.
  void set_key_ready(bool ready) { key_ready_ = ready; }
  // Why no list is made, for the log; empty: they are.
  const std::string& off() const { return off_; }
  // After a loss of rows: lists that nobody here knows of may have been published. Numbers go on from the
  // time in milliseconds, which no list of before can have reached (RFC 5280 §5.2.3).
  void skip_numbers();
  // True: nothing more is to be issued, since its revocation might be in no list.
  bool nearly_full() const;
  // Until a list is due, or `ms` have passed, or wake() was called; whether one is due.
  bool wait_until_due(std::int64_t ms);
  void pause(std::int64_t ms);  // ends early when woken
  void wake();
  // A new list: row, signature, row, file; then it is the newest. "clock-behind-ledger", "hsm-away",
  // "hsm-signature", "ledger-unavailable". Kept on disk is not a must: the next start makes another.
  Verdict<std::uint64_t> make();

  // "crl-not-offered", "crl-missing" (none yet), "crl-replaced" (another number is the newest),
  // "crl-offset".
  Verdict<wire::CrlGetReply> get(const wire::CrlGet& request) const;
  CrlFigures figures() const;

 private:
  struct List {
    Bytes der;
    std::uint64_t number = 0;
    std::int64_t this_update_ms = 0;
    std::int64_t next_update_ms = 0;
  };
  Verdict<void> check_ready(std::int64_t now_ms) const;
  ListIntentRow plan(std::int64_t now_ms, Bytes& entries);
  Verdict<Bytes> record_and_sign(const ListIntentRow& intent, const Bytes& tbs);
  Verdict<Bytes> sign(std::uint64_t row, const Bytes& tbs);
  void record_failure(std::uint64_t row, std::string_view code);
  std::int64_t due_in_ms() const;  // mutex_ held

  CrlConfig config_;
  const Issuer& issuer_;
  hal::SigningToken& token_;
  const Clock& clock_;
  std::string off_;
  std::atomic<bool> key_ready_ = false;
  Ledger* ledger_ = nullptr;
  TimeGuard* time_guard_ = nullptr;
  // What the ledger says at start.
  std::optional<ListIntentRow> last_intent_;
  std::optional<std::uint64_t> last_intent_row_;
  std::optional<ListIntentRow> last_issued_;
  Digest256 last_list_sha256_{};

  std::mutex make_mutex_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  RevokedEntries entries_;
  std::uint64_t last_number_ = 0;
  std::shared_ptr<const List> newest_;
  std::int64_t first_change_ms_ = 0;  // monotonic, of the first revocation since; 0: none
  std::int64_t last_made_ms_ = 0;     // monotonic
  bool woken_ = false;
};

}  // namespace keyward::issue
