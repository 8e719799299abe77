// Owns the certificate revocation lists of the issuing key (RFC 5280 §5): when one is due, its number and
// its rows in the ledger, and the newest ones on disk. Must not know who may revoke (revocation.h), what
// stands in a list (crl_content.h), nor tasks.
//
// The whole list, version 2, for everything that the issuing key signed, always. Where configured: the
// delta to it, made right after each whole list with its number (§5.2.3) against a base that every whole
// list which still holds can be brought up from; shards; the long list. An entry stays until each list
// was issued after its certificate's end (§3.3). The ledger holds a row before each list is signed and
// one after it; the number is the ledger's, one sequence for all lists, so that none comes twice. The
// newest lists lie at `path` and beside it, whole or not at all; after a restart they are served again if
// the ledger knows them as the newest.
// With the token away the old lists stay. Threads: any; make() and make_due() one at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "firmware/issue/crl_content.h"
#include "firmware/issue/issuer.h"
#include "firmware/issue/ledger.h"
#include "firmware/issue/time_guard.h"
#include "firmware/issue/verdict.h"
#include "firmware/wire/messages/crl_get.h"

namespace keyward::issue {

struct CrlConfig {
  std::int64_t validity_ms = 0;  // to nextUpdate; 0: no lists are made
  std::string path;
  std::string key_label;
  // After a revocation: others that follow at once are in the same list.
  std::int64_t gather_ms = limits::kCrlGatherMs;
  std::size_t entries_bytes_max = limits::kCrlEntriesBytesMax;
  bool delta = false;
  std::uint64_t shards = 0;           // of certificates from now on; 0 and 1: none
  std::int64_t long_validity_ms = 0;  // 0: no long list
};

// How the lists are, for an operator (docs/operations/monitoring.md).
struct CrlFigures {
  std::uint64_t number = 0;  // of the newest list; 0: there is none
  std::size_t bytes = 0;
  std::int64_t this_update_ms = 0;  // UTC
  std::int64_t next_update_ms = 0;
  std::uint64_t entries = 0;  // of the next list
  std::uint64_t lists = 0;    // of every kind
  // Of the list that lapses first; 0: one is not there yet.
  std::int64_t first_lapse_ms = 0;
};

struct MadeList {
  std::string list;  // empty: the whole one
  std::uint64_t number = 0;
};

class Crl {
 public:
  // Without lists if the issuing certificate may not sign them (RFC 5280 §4.2.1.3, cRLSign).
  Crl(CrlConfig config, const Issuer& issuer, hal::SigningToken& token, const Clock& clock);

  // From the ledger, row by row, before start(); `not_after_ms` for rows that do not say it.
  void note_revocation(const RevocationRow& row, std::uint64_t number, std::int64_t time_ms,
                       std::int64_t not_after_ms);
  void note_list(const LedgerRow& row);
  // A certificate that names this shard was issued: there must be such a list.
  void note_shard(const std::string& list);
  // kExhausted: more shards were ever in use than there may be lists.
  Status check_shards() const;
  // Of a certificate that is issued now; empty: it names the whole list.
  std::string shard_for(ByteView serial) const;
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
  // A new whole list: row, signature, row, file; then it is the newest. "clock-behind-ledger",
  // "hsm-away", "hsm-signature", "ledger-unavailable". Kept on disk is not a must: the next start makes
  // another.
  Verdict<std::uint64_t> make();
  // The same with the list that is due, the whole one first; absent: none is.
  Verdict<std::optional<MadeList>> make_due();

  // "crl-not-offered" (also: there is no such list), "crl-missing" (none yet), "crl-replaced" (another
  // number is the newest), "crl-offset".
  Verdict<wire::CrlGetReply> get(const wire::CrlGet& request) const;
  CrlFigures figures() const;

 private:
  struct List {
    Bytes der;
    std::uint64_t number = 0;
    std::int64_t this_update_ms = 0;
    std::int64_t next_update_ms = 0;
  };
  // One of the lists, with what the ledger says of it.
  struct Kept {
    std::string list;  // empty: the whole one
    std::string path;
    std::shared_ptr<const List> newest;
    std::optional<ListIntentRow> last_intent, last_issued;
    std::uint64_t last_intent_row = 0;
    Digest256 last_sha256{};
    std::int64_t first_change_ms = 0;  // monotonic, of the first revocation since; 0: none
    std::int64_t last_made_ms = 0;     // monotonic
    bool forced = false;               // due whatever the rest says
  };
  // What a delta can begin from.
  struct Base {
    std::uint64_t number = 0, until_row = 0;
    std::int64_t next_update_ms = 0;
  };
  Kept* find(std::string_view list);
  const Kept* find(std::string_view list) const;
  Kept* ensure(const std::string& list);  // null: as many as there may be
  void note_change(std::string_view list);
  void note_base(const ListIntentRow& intent);
  std::optional<Base> base_at(std::int64_t now_ms) const;
  void read_back(Kept& kept);
  void drop_ended();
  std::int64_t validity_of(const Kept& kept) const;
  Verdict<void> check_ready(std::int64_t now_ms) const;
  ListIntentRow plan(Kept& kept, std::int64_t now_ms, CrlContent& content, Bytes& entries);
  void plan_delta(ListIntentRow& intent, CrlContent& content,
                  RevokedEntries::Selection& what) const;
  Verdict<std::uint64_t> make_list(Kept& kept);
  Verdict<Bytes> record_and_sign(const ListIntentRow& intent, const Bytes& tbs);
  Verdict<Bytes> sign(std::uint64_t row, const Bytes& tbs);
  void record_failure(std::uint64_t row, std::string_view code);
  // mutex_ held.
  std::int64_t due_in_ms(const Kept& kept) const;
  Kept* first_due();

  CrlConfig config_;
  const Issuer& issuer_;
  hal::SigningToken& token_;
  const Clock& clock_;
  std::string off_;
  std::atomic<bool> key_ready_ = false;
  Ledger* ledger_ = nullptr;
  TimeGuard* time_guard_ = nullptr;

  std::mutex make_mutex_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  RevokedEntries entries_;
  std::uint64_t last_number_ = 0;
  std::vector<std::unique_ptr<Kept>> lists_;  // the whole one first; none is ever taken away
  std::deque<Base> bases_;                    // oldest first
  bool too_many_ = false;
  bool woken_ = false;
};

}  // namespace keyward::issue
