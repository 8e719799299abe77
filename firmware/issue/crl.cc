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

constexpr std::string_view kKeyUsage = "2.5.29.15";
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

std::int64_t monotonic_ms() { return system_clock().monotonic_ms(); }

}  // namespace

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
  ensure("");
  if (config_.delta) ensure(std::string(kDeltaList));
  for (std::uint64_t i = 0; config_.shards > 1 && i < config_.shards; ++i)
    ensure(shard_name(config_.shards, i));
  if (config_.long_validity_ms > 0) ensure(std::string(kLongList));
}

// ---- which lists there are

const Crl::Kept* Crl::find(std::string_view list) const {
  const auto found =
      std::ranges::find_if(lists_, [&](const auto& kept) { return kept->list == list; });
  return found == lists_.end() ? nullptr : found->get();
}

Crl::Kept* Crl::find(std::string_view list) {
  return const_cast<Kept*>(std::as_const(*this).find(list));
}

Crl::Kept* Crl::ensure(const std::string& list) {
  if (auto* known = find(list)) return known;
  if (lists_.size() == limits::kCrlListsMax) {
    too_many_ = true;
    return nullptr;
  }
  auto kept = std::make_unique<Kept>();
  kept->list = list;
  kept->path = config_.path;
  if (!list.empty())
    kept->path.insert(kept->path.ends_with(".der") ? kept->path.size() - 4 : kept->path.size(),
                      "-" + list);
  lists_.push_back(std::move(kept));
  return lists_.back().get();
}

void Crl::note_shard(const std::string& list) {
  const std::lock_guard lock(mutex_);
  ensure(list);
}

Status Crl::check_shards() const {
  const std::lock_guard lock(mutex_);
  if (!too_many_) return {};
  return fail(ErrorKind::kExhausted, "more shards of revocation lists than there may be lists");
}

std::string Crl::shard_for(ByteView serial) const {
  return off_.empty() ? shard_of(serial, config_.shards) : std::string();
}

// ---- what is in them

void Crl::note_change(std::string_view list) {
  if (auto* kept = find(list); kept != nullptr && kept->first_change_ms == 0)
    kept->first_change_ms = monotonic_ms();
}

void Crl::note_revocation(const RevocationRow& row, std::uint64_t number, std::int64_t time_ms,
                          std::int64_t not_after_ms) {
  const std::lock_guard lock(mutex_);
  const auto list = row.list.value_or("");
  const auto added = entries_.add(
      {row.serial, time_ms, row.reason, row.not_after_ms.value_or(not_after_ms), number, list});
  if (!added) log::error("a revocation is in no list", added.error(), {{"row", number}});
  if (!list.empty()) ensure(list);
  note_change("");
  if (!list.empty()) note_change(list);
  changed_.notify_all();
}

void Crl::skip_numbers() {
  const std::lock_guard lock(mutex_);
  last_number_ = std::max(last_number_, static_cast<std::uint64_t>(clock_.utc_ms()));
  // At once: a restart would forget.
  for (const auto& kept : lists_) kept->forced = kept->list != kDeltaList;
  changed_.notify_all();
}

bool Crl::nearly_full() const {
  const std::lock_guard lock(mutex_);
  return off_.empty() && entries_.nearly_full();
}

// ---- after a start

void Crl::note_list(const LedgerRow& row) {
  if (row.list_intent) {
    last_number_ = std::max(last_number_, row.list_intent->number);
    auto* kept = ensure(row.list_intent->list.value_or(""));
    if (kept == nullptr) return;
    kept->last_intent = row.list_intent;
    kept->last_intent_row = row.number;
  }
  if (!row.list_outcome || row.list_outcome->result != OutcomeResult::kIssued) return;
  for (const auto& kept : lists_) {
    if (!kept->last_intent || kept->last_intent_row != row.list_outcome->intent_row) continue;
    kept->last_issued = kept->last_intent;
    kept->last_sha256 = *row.list_outcome->list_sha256;
    if (kept->list.empty()) note_base(*kept->last_issued);
  }
}

void Crl::read_back(Kept& kept) {
  if (!kept.last_issued) return;
  auto der = read_file(kept.path, limits::kCrlBytesMax);
  if (!der || crypto::sha256(*der) != kept.last_sha256) {
    log::warning("the newest revocation list is not on the disk: another one follows",
                 {{"path", kept.path}});
    return;
  }
  kept.newest = std::make_shared<const List>(List{std::move(*der), kept.last_issued->number,
                                                  kept.last_issued->this_update_ms,
                                                  kept.last_issued->next_update_ms});
  RevokedEntries::Selection since;
  since.after_row = kept.last_issued->until_row;
  if (is_shard_name(kept.list)) since.list = kept.list;
  const bool nothing_new = since.after_row >= entries_.until_row() || entries_.count(since) == 0;
  if (nothing_new) kept.first_change_ms = 0;
}

void Crl::start(Ledger& ledger) {
  ledger_ = &ledger;
  const std::lock_guard lock(mutex_);
  drop_ended();
  for (const auto& kept : lists_) read_back(*kept);
}

// Every list but the delta, which follows the whole one, must have carried an entry once more.
void Crl::drop_ended() {
  std::int64_t this_update_ms = INT64_MAX;
  std::uint64_t until_row = UINT64_MAX;
  for (const auto& kept : lists_) {
    if (kept->list == kDeltaList) continue;
    if (!kept->last_issued) return;
    this_update_ms = std::min(this_update_ms, kept->last_issued->this_update_ms);
    until_row = std::min(until_row, kept->last_issued->until_row);
  }
  entries_.drop_ended(this_update_ms, until_row);
}

// ---- the delta's base

// Thinned when there are many: a base that is older than it need be costs entries, nothing else.
void Crl::note_base(const ListIntentRow& intent) {
  bases_.push_back({intent.number, intent.until_row, intent.next_update_ms});
  if (bases_.size() < limits::kCrlBasesMax) return;
  std::deque<Base> thinned;
  for (std::size_t i = 0; i < bases_.size(); ++i) {
    if (i % 2 == 0 || i + 1 == bases_.size()) thinned.push_back(bases_[i]);
  }
  bases_ = std::move(thinned);
}

// The newest that no longer holds: each list that holds is as new or newer. Else the oldest.
std::optional<Crl::Base> Crl::base_at(std::int64_t now_ms) const {
  std::optional<Base> out;
  for (const auto& base : bases_) {
    if (out && base.next_update_ms >= now_ms) break;
    out = base;
  }
  return out;
}

// ---- when

std::int64_t Crl::validity_of(const Kept& kept) const {
  return kept.list == kLongList ? config_.long_validity_ms : config_.validity_ms;
}

// At half of its time a list is replaced: the rest is for a token that is away. The long list does not
// follow each revocation: whoever reads it comes seldom.
std::int64_t Crl::due_in_ms(const Kept& kept) const {
  if (kept.list == kDeltaList) {
    const auto& whole = lists_.front()->newest;
    const bool behind = whole && (!kept.newest || kept.newest->number != whole->number);
    return behind ? 0 : limits::kCrlRetryMs;
  }
  if (!kept.newest || kept.forced) return 0;
  const auto half_ms = (kept.newest->next_update_ms - kept.newest->this_update_ms) / 2;
  const auto every_ms =
      kept.list == kLongList ? std::min(half_ms, limits::kCrlLongEveryMs) : half_ms;
  auto in_ms = kept.newest->this_update_ms + every_ms - clock_.utc_ms();
  if (kept.first_change_ms != 0 && kept.list != kLongList) {
    const auto ready_ms =
        std::max(kept.first_change_ms + config_.gather_ms, kept.last_made_ms + limits::kCrlPauseMs);
    in_ms = std::min(in_ms, ready_ms - monotonic_ms());
  }
  return std::max<std::int64_t>(in_ms, 0);
}

Crl::Kept* Crl::first_due() {
  for (const auto& kept : lists_) {
    if (due_in_ms(*kept) == 0) return kept.get();
  }
  return nullptr;
}

bool Crl::wait_until_due(std::int64_t ms) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  std::unique_lock lock(mutex_);
  while (!woken_) {
    auto due_ms = limits::kCrlRetryMs;
    if (off_.empty())
      for (const auto& kept : lists_) due_ms = std::min(due_ms, due_in_ms(*kept));
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

// ---- making one

// A delta has its whole list's number and time, and holds what that holds (RFC 5280 §5.2.3).
void Crl::plan_delta(ListIntentRow& intent, CrlContent& content,
                     RevokedEntries::Selection& what) const {
  const auto& whole = *lists_.front();
  intent.number = whole.newest->number;
  intent.this_update_ms = whole.newest->this_update_ms;
  intent.next_update_ms = whole.newest->next_update_ms;
  intent.until_row = whole.last_issued ? whole.last_issued->until_row : 0;
  const auto base = base_at(clock_.utc_ms());
  content.base_number = base ? base->number : intent.number;
  what.after_row = base ? base->until_row : 0;
  what.until_row = intent.until_row;
}

// What the next list holds, and its intent but for the digest; until it stands, the change is not
// done.
ListIntentRow Crl::plan(Kept& kept, std::int64_t now_ms, CrlContent& content, Bytes& entries) {
  const std::lock_guard lock(mutex_);
  ListIntentRow intent;
  intent.number = last_number_ + 1;
  // Never before the list before it, however the clock was corrected in between.
  intent.this_update_ms = std::max(floor_to_second(now_ms),
                                   kept.newest ? kept.newest->this_update_ms : std::int64_t{0});
  intent.next_update_ms = intent.this_update_ms + floor_to_second(validity_of(kept));
  intent.until_row = entries_.until_row();
  if (!kept.list.empty()) intent.list = kept.list;
  RevokedEntries::Selection what;
  if (kept.list == kDeltaList) plan_delta(intent, content, what);
  if (is_shard_name(kept.list)) {
    what.list = kept.list;
    content.scope_url = list_url(issuer_, kept.list);
  }
  if (kept.list.empty() && config_.delta) content.freshest_url = list_url(issuer_, kDeltaList);
  entries = entries_.joined(what);
  intent.entries = entries_.count(what);
  content.number = intent.number;
  content.this_update_ms = intent.this_update_ms;
  content.next_update_ms = intent.next_update_ms;
  kept.first_change_ms = 0;
  kept.last_made_ms = monotonic_ms();
  return intent;
}

Verdict<Bytes> Crl::record_and_sign(const ListIntentRow& intent, const Bytes& tbs) {
  const auto row = ledger_->append_list_intent(intent);
  if (!row) return refuse(row.error(), "ledger-unavailable");
  {
    const std::lock_guard lock(mutex_);
    last_number_ = std::max(last_number_, intent.number);
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

Verdict<std::uint64_t> Crl::make_list(Kept& kept) {
  const auto now_ms = clock_.utc_ms();
  ISSUE_CHECK(check_ready(now_ms));
  Bytes entries;
  CrlContent content;
  ListIntentRow intent = plan(kept, now_ms, content, entries);
  content.entries = entries;
  const Bytes tbs = build_crl_tbs(issuer_, content);
  intent.tbs_sha256 = crypto::sha256(tbs);
  auto der = record_and_sign(intent, tbs);
  if (der) {
    if (const auto written = replace_file(kept.path, *der, kFileMode); !written)
      log::error("the newest revocation list is not on the disk", written.error());
  }
  const std::lock_guard lock(mutex_);
  if (!der) {
    if (kept.first_change_ms == 0) kept.first_change_ms = monotonic_ms();
    return tl::unexpected<wire::Failure>(std::move(der.error()));
  }
  kept.newest = std::make_shared<const List>(
      List{std::move(*der), intent.number, intent.this_update_ms, intent.next_update_ms});
  kept.forced = false;
  kept.last_issued = intent;
  if (kept.list.empty()) note_base(intent);
  drop_ended();
  return intent.number;
}

Verdict<std::uint64_t> Crl::make() {
  const std::lock_guard one_at_a_time(make_mutex_);
  return make_list(*lists_.front());
}

Verdict<std::optional<MadeList>> Crl::make_due() {
  const std::lock_guard one_at_a_time(make_mutex_);
  Kept* due = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (off_.empty()) due = first_due();
  }
  if (due == nullptr) return std::optional<MadeList>();
  ISSUE_TRY(number, make_list(*due));
  return std::optional<MadeList>({due->list, number});
}

CrlFigures Crl::figures() const {
  const std::lock_guard lock(mutex_);
  CrlFigures out;
  out.entries = entries_.count();
  out.lists = lists_.size();
  out.first_lapse_ms = INT64_MAX;
  for (const auto& kept : lists_)
    out.first_lapse_ms =
        std::min(out.first_lapse_ms, kept->newest ? kept->newest->next_update_ms : 0);
  const auto& newest = lists_.front()->newest;
  if (!newest) return out;
  out.number = newest->number;
  out.bytes = newest->der.size();
  out.this_update_ms = newest->this_update_ms;
  out.next_update_ms = newest->next_update_ms;
  return out;
}

Verdict<wire::CrlGetReply> Crl::get(const wire::CrlGet& request) const {
  if (!off_.empty()) return refuse("crl-not-offered", off_);
  std::shared_ptr<const List> list;
  {
    const std::lock_guard lock(mutex_);
    const auto* kept = find(request.list.value_or(""));
    if (kept == nullptr) return refuse("crl-not-offered", "there is no such revocation list");
    list = kept->newest;
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
