#include "firmware/audit/notary.h"

#include <algorithm>

#include <unistd.h>

#include "firmware/json/json.h"
#include "hal/base/file.h"

namespace keyward::audit {
namespace {

using issue::refuse;
using issue::refuse_for_now;
using issue::Verdict;

constexpr std::size_t kAcceptanceBytesMax = limits::kOperatorOrderBytesMax;

Verdict<void> refused(std::string_view code, std::string_view detail) {
  return refuse(code, detail);
}

// What an operator can accept; an unusable key or an HSM that is away is no such matter.
bool is_acceptable(std::string_view code) {
  return code == "ledger-behind-head" || code == "ledger-rolled-back" || code == "anchor-foreign" ||
         code == "anchor-lost";
}

}  // namespace

Notary::Notary(NotaryConfig config, HeadFile file, issue::Ledger& ledger, hal::SigningToken& token,
               Anchor* anchor, const Clock& clock)
    : config_(std::move(config)),
      ledger_(ledger),
      token_(token),
      anchor_(anchor),
      clock_(clock),
      rows_at_start_(ledger.rows()),
      file_(std::move(file)),
      last_made_ms_(clock.monotonic_ms()) {
  note_newest();
}

void Notary::note_newest() {
  if (!file_.last()) return;
  const auto& last = *file_.last();
  const std::lock_guard lock(newest_mutex_);
  newest_ = {line_of(last.signing_input, last.signature), last.head.time_ms, last.head.row};
}

NewestHead Notary::newest() const {
  const std::lock_guard lock(newest_mutex_);
  return newest_;
}

Result<std::unique_ptr<Notary>> Notary::open(NotaryConfig config, issue::Ledger& ledger,
                                             hal::SigningToken& token, Anchor* anchor,
                                             const Clock& clock) {
  KEYWARD_CHECK(make_directories(config.directory, 0700));
  KEYWARD_TRY(file, HeadFile::open(config.directory + "/" + std::string(kHeadsFile)));
  return std::unique_ptr<Notary>(
      new Notary(std::move(config), std::move(file), ledger, token, anchor, clock));
}

std::string Notary::path(std::string_view name) const {
  return config_.directory + "/" + std::string(name);
}

Verdict<void> Notary::check_key() {
  const auto found = token_.find_key(config_.key_label);
  if (!found && found.error().kind == ErrorKind::kUnavailable)
    return refuse_for_now("hsm-away", found.error().what, limits::kHsmAwayRetryMs);
  if (!found) return refuse(found.error(), "audit-key-unusable");
  if (found->algorithm != hal::KeyAlgorithm::kEcdsaP256 || found->extractable)
    return refused("audit-key-unusable", "it must be ECDSA on P-256 that cannot leave the token");
  if (config_.certified_spki && *config_.certified_spki != found->spki_der)
    return refused("audit-key-unusable", "the audit certificate is another key's");
  auto key = crypto::PublicKey::from_spki(found->spki_der);
  if (!key) return refuse(key.error(), "audit-key-unusable");
  key_ = std::move(*key);
  return {};
}

Verdict<void> Notary::check_last_head() {
  if (!file_.last()) return {};
  const Head& head = file_.last()->head;
  if (!verify(*file_.last(), *key_))
    return refused("head-not-ours", "the newest head is not signed by the audit key");
  const auto first = ledger_.read({0, 0});
  if (!first || !first->genesis || first->genesis->ledger_id != head.ledger_id)
    return refused("ledger-behind-head", "the newest head is of another ledger");
  if (ledger_.rows() <= head.row)
    return refused("ledger-behind-head", "rows that the newest head covers are gone");
  const auto row = ledger_.read({head.segment, head.offset});
  if (!row || row->number != head.row || crypto::sha256(wire::encode_body(*row)) != head.row_sha256)
    return refused("ledger-behind-head", "the row that the newest head names is another");
  return {};
}

Verdict<void> Notary::check_anchor() {
  const auto claimed = file_.last() ? file_.last()->head.counter : std::nullopt;
  if (anchor_ == nullptr) {
    counter_.reset();
    if (claimed) return refused("anchor-lost", "heads were anchored, and no anchor is configured");
    return {};
  }
  ISSUE_TRY(value, anchor_->read());
  counter_ = value;
  if (!value && claimed) return refused("anchor-lost", "the TPM has no counter any more");
  if (!value) return {};
  if (!claimed || *value > *claimed)
    return refused("ledger-rolled-back", "the counter has seen heads that are not here");
  if (*value != *claimed && *value + 1 != *claimed)
    return refused("anchor-foreign", "the counter is behind the newest head: another TPM's");
  return {};
}

// The operator's word is for exactly what was found; it is used up by the next head.
Verdict<void> Notary::accept_or_refuse(wire::Failure failure) {
  if (!is_acceptable(failure.code)) return tl::unexpected<wire::Failure>(std::move(failure));
  Acceptance found{failure.code, "", rows_at_start_, counter_};
  const auto text = read_text_file(path(kAcceptedFile), kAcceptanceBytesMax);
  const auto accepted =
      text ? config_.read_acceptance(*text) : Result<Acceptance>(fail(text.error()));
  if (accepted && accepted->code == found.code && accepted->counter_found == counter_ &&
      accepted->rows_found == found.rows_found && !accepted->reason.empty()) {
    accepted_ = *accepted;
    return {};
  }
  const std::string wanted = acceptance_text(found);
  if (read_text_file(path(kRefusedFile), kAcceptanceBytesMax).value_or("") != wanted) {
    if (const auto kept = replace_file(path(kRefusedFile), view_of(wanted), 0600); !kept)
      failure.detail += " (and the note for the operator was not written)";
  }
  return tl::unexpected<wire::Failure>(std::move(failure));
}

Verdict<void> Notary::check() {
  const std::lock_guard lock(mutex_);
  cleared_ = false;
  accepted_.reset();
  ISSUE_CHECK(check_key());
  auto head = check_last_head();
  // Read in any case: what an operator accepts names the counter.
  auto anchor = check_anchor();
  if (head && !anchor) head = std::move(anchor);
  if (!head) ISSUE_CHECK(accept_or_refuse(std::move(head.error())));
  cleared_ = true;
  return {};
}

bool Notary::cleared() const {
  const std::lock_guard lock(mutex_);
  return cleared_;
}

bool Notary::accepts_a_loss() const {
  const std::lock_guard lock(mutex_);
  return cleared_ && accepted_.has_value();
}

bool Notary::last_head_accepts() const {
  const std::lock_guard lock(mutex_);
  return file_.last() && file_.last()->head.accepted.has_value();
}

std::uint64_t Notary::unsigned_rows_locked() const {
  const auto rows = ledger_.rows();
  if (!file_.last() || accepted_) return rows;
  return rows - std::min(rows, file_.last()->head.row + 1);
}

std::uint64_t Notary::unsigned_rows() const {
  const std::lock_guard lock(mutex_);
  return unsigned_rows_locked();
}

std::uint64_t Notary::signatures_made() const {
  const std::lock_guard lock(mutex_);
  return signatures_made_;
}

bool Notary::anchor_pending() const {
  const bool head_is_anchored = file_.last() && file_.last()->head.counter && !accepted_;
  return anchor_ != nullptr && head_is_anchored && counter_ < file_.last()->head.counter;
}

bool Notary::due() const {
  const std::lock_guard lock(mutex_);
  if (!cleared_) return false;
  if (!file_.last() || accepted_ || anchor_pending()) return true;
  const auto rows = unsigned_rows_locked();
  if (rows == 0) return false;
  return rows >= config_.every_rows || clock_.monotonic_ms() - last_made_ms_ >= config_.every_ms;
}

// A counter for the first head; else what was begun before is ended, if the TPM answers.
Verdict<void> Notary::settle_counter() {
  if (anchor_ == nullptr) return {};
  if (!counter_) {
    ISSUE_TRY(made, anchor_->make());
    counter_ = made;
    return {};
  }
  if (!anchor_pending()) return {};
  ISSUE_TRY(value, anchor_->advance(*counter_, file_.last()->line_sha256));
  counter_ = value;
  if (value > *file_.last()->head.counter) {
    cleared_ = false;  // somebody else counts
    return refused("ledger-rolled-back", "the counter has seen heads that are not here");
  }
  return {};
}

Verdict<void> Notary::sign(const issue::LedgerHead& point, std::string_view cause) {
  const auto first = ledger_.read({0, 0});
  if (!first || !first->genesis)
    return refuse(wire::FailureKind::kCorrupt, "ledger-unavailable", "no genesis row");
  Head head;
  head.ledger_id = first->genesis->ledger_id;
  head.number = file_.last() ? file_.last()->head.number + 1 : 0;
  if (file_.last()) head.previous_line = file_.last()->line_sha256;
  head.row = point.row;
  head.row_sha256 = point.row_sha256;
  head.segment = point.place.segment;
  head.offset = point.place.offset;
  head.time_ms = std::max(clock_.utc_ms(), point.time_ms);
  if (counter_) head.counter = *counter_ + 1;
  head.cause = cause;
  head.accepted = accepted_;
  const std::string input = signing_input_of(head);
  const auto der =
      token_.sign(config_.key_label, view_of(input), Deadline::after_ms(limits::kSignDeadlineMs),
                  hal::SignPriority::kBackground);
  if (!der && der.error().kind == ErrorKind::kCorrupt) return refuse(der.error(), "hsm-signature");
  if (!der) return refuse_for_now("hsm-away", der.error().what, limits::kHsmAwayRetryMs);
  ++signatures_made_;
  const auto raw = crypto::ecdsa_der_to_raw(*der, 32);
  if (!raw) return refuse(raw.error(), "hsm-signature");
  if (const auto kept = file_.append(line_of(input, *raw)); !kept)
    return refuse(kept.error(), "ledger-unavailable");
  note_newest();
  if (config_.note) config_.note(*file_.last());
  if (accepted_) {
    ::unlink(path(kAcceptedFile).c_str());
    ::unlink(path(kRefusedFile).c_str());
    accepted_.reset();
  }
  return {};
}

// With the TPM away a further head says the same counter value again: it is signed all the same, and
// the counter is advanced once for all of them.
Verdict<void> Notary::make(std::string_view cause) {
  const std::lock_guard lock(mutex_);
  if (!cleared_) return refused("audit-not-cleared", "the ledger was not checked");
  auto settled = settle_counter();
  if (!settled && (!cleared_ || !counter_)) return settled;
  last_made_ms_ = clock_.monotonic_ms();
  if (unsigned_rows_locked() > 0) {
    const auto point = ledger_.durable_head();
    if (!point) return refuse(point.error(), "ledger-unavailable");
    ISSUE_CHECK(sign(*point, cause));
    settled = settle_counter();
  }
  return settled;
}

std::string acceptance_text(const Acceptance& acceptance) {
  json::Writer out;
  out.begin_object().member("code", acceptance.code).member("reason", acceptance.reason);
  out.member_int("rows_found", static_cast<std::int64_t>(acceptance.rows_found));
  if (acceptance.counter_found)
    out.member_int("counter_found", static_cast<std::int64_t>(*acceptance.counter_found));
  return out.end_object().take() + "\n";
}

}  // namespace keyward::audit
