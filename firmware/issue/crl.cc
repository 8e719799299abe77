// Owns the certificate revocation list. Must not know who may revoke.
#include "firmware/issue/crl.h"

#include <algorithm>
#include <chrono>

#include "firmware/crypto/crypto.h"
#include "firmware/log/log.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"
#include "hal/base/file.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kKeyUsage = "2.5.29.15", kCrlNumber = "2.5.29.20",
                           kReasonCode = "2.5.29.21";
constexpr std::uint8_t kEnumerated = 0x0a;
constexpr unsigned kFileMode = 0644;  // a list is public; whoever pushes it elsewhere reads it here

// RFC 5280 §4.2.1.3: bit 6 is cRLSign.
bool may_sign_lists(const x509::Certificate& certificate) {
  const auto* usage = certificate.extension(kKeyUsage);
  if (usage == nullptr) return false;
  x509::DerReader reader(usage->value);
  const auto bits = reader.element(x509::tag::kBitString);
  return bits && bits->size() >= 2 && ((*bits)[1] & 0x02) != 0;
}

std::int64_t floor_to_second(std::int64_t ms) { return ms - ms % 1'000; }

// RFC 5280 §5.3.1: unspecified is said by saying nothing.
Bytes entry_der(const RevokedCertificate& revoked) {
  const Bytes serial = x509::der_unsigned(revoked.serial);
  const Bytes time = x509::der_time(floor_to_second(revoked.revoked_ms));
  if (!revoked.reason || *revoked.reason == 0) return x509::der_sequence({serial, time});
  const std::uint8_t reason = static_cast<std::uint8_t>(*revoked.reason);
  const Bytes value = x509::tlv(kEnumerated, ByteView(&reason, 1));
  return x509::der_sequence(
      {serial, time, x509::der_sequence({x509::extension_der(kReasonCode, false, value)})});
}

std::int64_t monotonic_ms() { return system_clock().monotonic_ms(); }

}  // namespace

// ---- entries

Status RevokedEntries::add(const RevokedCertificate& revoked) {
  Bytes der = entry_der(revoked);
  if (bytes_ + der.size() > bytes_max_)
    return fail(ErrorKind::kExhausted, "the revocation list is full");
  bytes_ += der.size();
  until_row_ = std::max(until_row_, revoked.row);
  entries_.push_back({revoked.not_after_ms, revoked.row, std::move(der)});
  return {};
}

void RevokedEntries::drop_ended(std::int64_t this_update_ms, std::uint64_t until_row) {
  std::erase_if(entries_, [&](const Entry& entry) {
    const bool done = entry.not_after_ms < this_update_ms && entry.row <= until_row;
    if (done) bytes_ -= entry.der.size();
    return done;
  });
}

Bytes RevokedEntries::joined() const {
  Bytes out;
  out.reserve(bytes_);
  for (const auto& entry : entries_) append(out, entry.der);
  return out;
}

// ---- the list

Bytes build_crl_tbs(const Issuer& issuer, const CrlContent& content) {
  const Bytes number = x509::der_unsigned(content.number);
  const Bytes extensions = x509::der_sequence(
      {x509::ext_authority_key_id(issuer.key_id), x509::extension_der(kCrlNumber, false, number)});
  const Bytes entries =
      content.entries.empty() ? Bytes{} : x509::tlv(x509::tag::kSequence, content.entries);
  return x509::der_sequence({x509::der_unsigned(std::uint64_t{1}), issuer.signature_algorithm_der,
                             issuer.certificate.subject_der, x509::der_time(content.this_update_ms),
                             x509::der_time(content.next_update_ms), entries,
                             x509::tlv(x509::tag::context_constructed(0), ByteView(extensions))});
}

Crl::Crl(CrlConfig config, const Issuer& issuer, hal::SigningToken& token, const Clock& clock)
    : config_(std::move(config)),
      issuer_(issuer),
      token_(token),
      clock_(clock),
      entries_(config_.entries_bytes_max) {
  if (config_.validity_ms <= 0)
    off_ = "no revocation lists: crl_hours is 0";
  else if (!may_sign_lists(issuer_.certificate))
    off_ = "no revocation lists: the issuing certificate has no cRLSign";
}

void Crl::note_revocation(const RevocationRow& row, std::uint64_t number, std::int64_t time_ms,
                          std::int64_t not_after_ms) {
  const std::lock_guard lock(mutex_);
  const auto added = entries_.add(
      {row.serial, time_ms, row.reason, row.not_after_ms.value_or(not_after_ms), number});
  if (!added) log::error("a revocation is in no list", added.error(), {{"row", number}});
  if (first_change_ms_ == 0) first_change_ms_ = monotonic_ms();
  changed_.notify_all();
}

void Crl::skip_numbers() {
  const std::lock_guard lock(mutex_);
  last_number_ = std::max(last_number_, static_cast<std::uint64_t>(clock_.utc_ms()));
  // At once: a restart would forget.
  if (first_change_ms_ == 0) first_change_ms_ = monotonic_ms();
  changed_.notify_all();
}

bool Crl::nearly_full() const {
  const std::lock_guard lock(mutex_);
  return off_.empty() && entries_.nearly_full();
}

void Crl::note_list(const LedgerRow& row) {
  if (row.list_intent) {
    last_number_ = row.list_intent->number;
    last_intent_ = row.list_intent;
    last_intent_row_ = row.number;
  }
  if (!row.list_outcome || row.list_outcome->result != OutcomeResult::kIssued) return;
  if (!last_intent_row_ || row.list_outcome->intent_row != *last_intent_row_) return;
  last_issued_ = last_intent_;
  last_list_sha256_ = *row.list_outcome->list_sha256;
}

void Crl::start(Ledger& ledger) {
  ledger_ = &ledger;
  const std::lock_guard lock(mutex_);
  if (!last_issued_) return;
  entries_.drop_ended(last_issued_->this_update_ms, last_issued_->until_row);
  auto der = read_file(config_.path, limits::kCrlBytesMax);
  if (!der || crypto::sha256(*der) != last_list_sha256_) {
    log::warning("the newest revocation list is not on the disk: another one follows");
    return;
  }
  newest_ = std::make_shared<const List>(List{std::move(*der), last_issued_->number,
                                              last_issued_->this_update_ms,
                                              last_issued_->next_update_ms});
  if (entries_.until_row() <= last_issued_->until_row) first_change_ms_ = 0;
}

// At half of its time a list is replaced: the rest is for a token that is away.
std::int64_t Crl::due_in_ms() const {
  if (!newest_) return 0;
  const auto half_ms = (newest_->next_update_ms - newest_->this_update_ms) / 2;
  auto in_ms = newest_->this_update_ms + half_ms - clock_.utc_ms();
  if (first_change_ms_ != 0) {
    const auto ready_ms =
        std::max(first_change_ms_ + config_.gather_ms, last_made_ms_ + limits::kCrlPauseMs);
    in_ms = std::min(in_ms, ready_ms - monotonic_ms());
  }
  return std::max<std::int64_t>(in_ms, 0);
}

bool Crl::wait_until_due(std::int64_t ms) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  std::unique_lock lock(mutex_);
  while (!woken_) {
    const auto due_ms = off_.empty() ? due_in_ms() : limits::kCrlRetryMs;
    if (due_ms == 0) return true;
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) return false;
    changed_.wait_until(lock, std::min(until, now + std::chrono::milliseconds(due_ms)));
  }
  woken_ = false;
  return false;
}

void Crl::pause(std::int64_t ms) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return woken_; });
}

void Crl::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void Crl::record_failure(std::uint64_t row, std::string_view code) {
  const auto appended =
      ledger_->append_list_outcome({row, OutcomeResult::kFailed, std::nullopt, std::string(code)});
  if (!appended) log::error("a list's outcome could not be recorded", appended.error());
}

// The HAL verified the signature (gate.h says why that is enough); what it covers is `tbs`.
Verdict<Bytes> Crl::sign(std::uint64_t row, const Bytes& tbs) {
  auto signature = token_.sign(config_.key_label, tbs, Deadline::after_ms(limits::kSignDeadlineMs),
                               hal::SignPriority::kUrgent);
  if (signature) return x509::join_certificate(tbs, issuer_.signature_algorithm_der, *signature);
  const bool wrong = signature.error().kind == ErrorKind::kCorrupt;
  record_failure(row, wrong ? "hsm-signature" : "hsm-away");
  if (wrong) return refuse(signature.error(), "hsm-signature");
  return refuse_for_now("hsm-away", "the HSM gave no signature", limits::kHsmAwayRetryMs);
}

// What the next list holds, and its intent but for the digest; until it stands, the change is not
// done.
ListIntentRow Crl::plan(std::int64_t now_ms, Bytes& entries) {
  const std::lock_guard lock(mutex_);
  ListIntentRow intent;
  intent.number = last_number_ + 1;
  // Never before the list before it, however the clock was corrected in between.
  intent.this_update_ms =
      std::max(floor_to_second(now_ms), newest_ ? newest_->this_update_ms : std::int64_t{0});
  intent.next_update_ms = intent.this_update_ms + floor_to_second(config_.validity_ms);
  intent.entries = entries_.count();
  intent.until_row = entries_.until_row();
  entries = entries_.joined();
  first_change_ms_ = 0;
  last_made_ms_ = monotonic_ms();
  return intent;
}

Verdict<Bytes> Crl::record_and_sign(const ListIntentRow& intent, const Bytes& tbs) {
  const auto row = ledger_->append_list_intent(intent);
  if (!row) return refuse(row.error(), "ledger-unavailable");
  {
    const std::lock_guard lock(mutex_);
    last_number_ = intent.number;
  }
  ISSUE_TRY(der, sign(row->number, tbs));
  const auto outcome = ledger_->append_list_outcome(
      {row->number, OutcomeResult::kIssued, crypto::sha256(der), std::nullopt});
  if (!outcome) return refuse(outcome.error(), "ledger-unavailable");
  return std::move(der);
}

Verdict<void> Crl::check_ready(std::int64_t now_ms) const {
  if (!off_.empty()) return refuse("crl-not-offered", off_);
  if (time_guard_ != nullptr) ISSUE_CHECK(time_guard_->check(ledger_->last_time_ms()));
  if (now_ms + limits::kClockStepBackMsMax < ledger_->last_time_ms()) {
    return refuse_for_now("clock-behind-ledger", "the clock is behind the ledger's last entry",
                          60'000);
  }
  if (!key_ready_ || token_.status().state != hal::TokenState::kReady)
    return refuse_for_now("hsm-away", "the HSM is away", limits::kHsmAwayRetryMs);
  return {};
}

Verdict<std::uint64_t> Crl::make() {
  const std::lock_guard one_at_a_time(make_mutex_);
  const auto now_ms = clock_.utc_ms();
  ISSUE_CHECK(check_ready(now_ms));
  Bytes entries;
  ListIntentRow intent = plan(now_ms, entries);
  const Bytes tbs = build_crl_tbs(
      issuer_, {intent.number, intent.this_update_ms, intent.next_update_ms, entries});
  intent.tbs_sha256 = crypto::sha256(tbs);
  auto der = record_and_sign(intent, tbs);
  if (der) {
    if (const auto kept = replace_file(config_.path, *der, kFileMode); !kept)
      log::error("the newest revocation list is not on the disk", kept.error());
  }
  const std::lock_guard lock(mutex_);
  if (!der) {
    if (first_change_ms_ == 0) first_change_ms_ = monotonic_ms();
    return tl::unexpected<wire::Failure>(std::move(der.error()));
  }
  newest_ = std::make_shared<const List>(
      List{std::move(*der), intent.number, intent.this_update_ms, intent.next_update_ms});
  entries_.drop_ended(intent.this_update_ms, intent.until_row);
  return intent.number;
}

CrlFigures Crl::figures() const {
  const std::lock_guard lock(mutex_);
  CrlFigures out;
  out.entries = entries_.count();
  if (!newest_) return out;
  out.number = newest_->number;
  out.bytes = newest_->der.size();
  out.this_update_ms = newest_->this_update_ms;
  out.next_update_ms = newest_->next_update_ms;
  return out;
}

Verdict<wire::CrlGetReply> Crl::get(const wire::CrlGet& request) const {
  if (!off_.empty()) return refuse("crl-not-offered", off_);
  std::shared_ptr<const List> list;
  {
    const std::lock_guard lock(mutex_);
    list = newest_;
  }
  if (!list) {
    return refuse_for_now("crl-missing", "there is no revocation list yet",
                          limits::kHsmAwayRetryMs);
  }
  if (request.number && *request.number != list->number)
    return refuse("crl-replaced", "another revocation list is the newest by now");
  if (request.offset > list->der.size())
    return bad_input("crl-offset", "the revocation list is shorter");
  const auto size =
      std::min<std::size_t>(list->der.size() - request.offset, limits::kCrlPartBytesMax);
  const auto begin = list->der.begin() + static_cast<std::ptrdiff_t>(request.offset);
  return wire::CrlGetReply{list->number, list->der.size(),
                           Bytes(begin, begin + static_cast<std::ptrdiff_t>(size)),
                           list->this_update_ms, list->next_update_ms};
}

}  // namespace keyward::issue
