#include "apps/signer/audit.h"

#include <chrono>
#include <utility>

#include "firmware/log/log.h"
#include "firmware/metrics/metrics.h"
#include "firmware/operate/order.h"
#include "firmware/wire/messages/anchor_advance.h"
#include "firmware/x509/certificate.h"
#include "hal/base/file.h"

namespace keyward::signer {
namespace {

constexpr std::int64_t kAnchorCallMs = 5'000;
constexpr std::int64_t kCheckMs = 2'000;
constexpr std::int64_t kTickMs = 200;
constexpr std::size_t kPemBytesMax = 131'072;

issue::Verdict<std::optional<std::uint64_t>> ask(task::Task& task,
                                                 const wire::AnchorAdvance& request) {
  auto reply = task.peer(wire::TaskId::kPlatform).call(request, kAnchorCallMs);
  if (!reply) return tl::unexpected<wire::Failure>(std::move(reply.error()));
  return reply->value;
}

issue::Verdict<std::uint64_t> ask_value(task::Task& task, const wire::AnchorAdvance& request) {
  ISSUE_TRY(value, ask(task, request));
  if (!value) return issue::refuse("anchor-lost", "the TPM has no counter any more");
  return *value;
}

// The SPKI that the root certified; and copies beside the heads, for an export that needs no other
// folder.
Result<Bytes> take_certificate(const Configuration& config, const std::string& directory) {
  KEYWARD_TRY(pem, read_text_file(config.audit_certificate, kPemBytesMax));
  KEYWARD_TRY(ders, x509::certificates_from_pem(pem, limits::kChainCertificatesMax));
  if (ders.empty()) return fail(ErrorKind::kBadInput, "no certificate in audit_certificate");
  KEYWARD_TRY(certificate, x509::parse_certificate(ders.front()));
  KEYWARD_TRY(chain, read_text_file(config.issuer_chain, kPemBytesMax));
  KEYWARD_CHECK(make_directories(directory, 0700));
  KEYWARD_CHECK(replace_file(directory + "/audit.pem", view_of(pem), 0600));
  KEYWARD_CHECK(replace_file(directory + "/chain.pem", view_of(chain), 0600));
  return certificate.spki_der;
}

// Where there are operators, a loss is accepted by their order alone. What it names must be exactly
// what was found, so that it cannot be used a second time.
Result<audit::Acceptance> read_order(const operate::Operators& operators, std::string_view text) {
  const auto verified = operate::verify_order(view_of(text), operators);
  const auto order = verified ? operate::permit(*verified, operators, system_clock().utc_ms())
                              : tl::unexpected<wire::Failure>(verified.error());
  if (!order || order->head().order != "accept-rollback")
    return fail(ErrorKind::kRefused, "not signed by an operator who may, or for something else");
  auto arguments = operate::read_accept(*order);
  if (!arguments) return fail(ErrorKind::kBadInput, "not what the signer found");
  std::string reason = order->head().reason + " (ordered by";
  for (const auto& signatory : order->signatories()) reason += " " + signatory.name;
  return audit::Acceptance{std::move(arguments->code), reason + ")", arguments->rows_found,
                           arguments->counter_found};
}

void measure(const audit::Notary& notary) {
  metrics::set("keyward_signer_audit_head_seconds", {}, notary.newest().time_ms / 1'000);
  metrics::set("keyward_signer_audit_unsigned_rows", {},
               static_cast<std::int64_t>(notary.unsigned_rows()));
}

// For a remote log: who has it can later show that the ledger was another one.
void say_head(const audit::SignedHead& head) {
  const std::string jws = head.signing_input + "." + base64url_encode(head.signature);
  log::info("ledger head", {{"head", head.head.number},
                            {"row", head.head.row},
                            {"row_sha256", hex_encode(head.head.row_sha256)},
                            {"line_sha256", hex_encode(head.line_sha256)},
                            {"jws", jws.size() > limits::kDetailBytesMax ? "" : jws}});
}

}  // namespace

issue::Verdict<std::optional<std::uint64_t>> PlatformAnchor::read() {
  return ask(task_, wire::AnchorAdvance{});
}

issue::Verdict<std::uint64_t> PlatformAnchor::make() {
  return ask_value(task_, wire::AnchorAdvance{0, std::nullopt});
}

issue::Verdict<std::uint64_t> PlatformAnchor::advance(std::uint64_t from, const Digest256& line) {
  return ask_value(task_, wire::AnchorAdvance{from, line});
}

AuditKeeper::AuditKeeper(task::Task& task, InFlight& in_flight, bool anchored)
    : anchor_(task), in_flight_(in_flight), anchored_(anchored) {}

Result<std::unique_ptr<AuditKeeper>> AuditKeeper::open(const Configuration& config,
                                                       task::Task& task, issue::Ledger& ledger,
                                                       hal::SigningToken& token,
                                                       InFlight& in_flight) {
  std::unique_ptr<AuditKeeper> out(new AuditKeeper(task, in_flight, config.audit_anchored));
  if (config.audit_key_label.empty()) return out;
  audit::NotaryConfig notary;
  notary.directory = config.state_dir + "/audit";
  notary.key_label = config.audit_key_label;
  notary.every_rows = static_cast<std::uint64_t>(config.audit_every_rows);
  notary.every_ms = config.audit_every_ms;
  notary.note = say_head;
  if (const auto& operators = config.gate.operators) {
    // It is looked at every two seconds: what is wrong with it is said once.
    notary.read_acceptance = [&operators = *operators,
                              said = std::string()](std::string_view text) mutable {
      auto read = read_order(operators, text);
      if (!read && said != text)
        log::error("the acceptance is no operator's order: see keywardctl order sign",
                   read.error());
      said = text;
      return read;
    };
  }
  if (!config.audit_certificate.empty()) {
    KEYWARD_TRY(spki, take_certificate(config, notary.directory));
    notary.certified_spki = std::move(spki);
  }
  KEYWARD_TRY(opened,
              audit::Notary::open(std::move(notary), ledger, token,
                                  config.audit_anchored ? &out->anchor_ : nullptr, system_clock()));
  out->notary_ = std::move(opened);
  // The end may have come between that head and the revocation list that skips numbers.
  out->accepted_loss_ = out->notary_->last_head_accepts();
  return out;
}

std::string AuditKeeper::why_not() {
  if (!notary_) return {};
  const auto now_ms = system_clock().monotonic_ms();
  if (now_ms < next_check_ms_) return why_not_;
  const auto checked = notary_->check();
  next_check_ms_ = system_clock().monotonic_ms() + kCheckMs;
  why_not_.clear();
  if (checked) {
    // Nothing is issued on an accepted loss before a signed head says who accepted it.
    if (notary_->accepts_a_loss()) {
      accepted_loss_ = true;
      make("acceptance");
    }
    if (notary_->accepts_a_loss()) why_not_ = trouble();
    return why_not_;
  }
  const auto& failure = checked.error();
  why_not_ = "the ledger is not taken: " + failure.code + ": " + failure.detail;
  if (failure.code == "ledger-rolled-back" || failure.code == "ledger-behind-head")
    why_not_ += " (docs/operations/audit.md)";
  return why_not_;
}

bool AuditKeeper::take_accepted_loss() { return std::exchange(accepted_loss_, false); }

std::string AuditKeeper::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

issue::Verdict<wire::AuditHeadGetReply> AuditKeeper::newest() const {
  if (!notary_) return issue::refuse("audit-head-none", "the ledger's head is not signed here");
  auto head = notary_->newest();
  if (head.line.empty()) return issue::refuse("audit-head-none", "no head was signed yet");
  return wire::AuditHeadGetReply{std::move(head.line)};
}

std::string AuditKeeper::words() const {
  if (!notary_) return ", ledger without signed heads";
  return anchored_ ? ", ledger signed and anchored" : ", ledger signed, without anchor";
}

void AuditKeeper::start() {
  if (!notary_) {
    log::warning("audit_key_label is not set: the ledger's head is not signed");
    return;
  }
  if (!anchored_) log::warning("audit_anchor is none: a rolled-back ledger would not be noticed");
  thread_ = std::thread([this] { run(); });
}

void AuditKeeper::run() {
  std::unique_lock lock(mutex_);
  std::int64_t pause_ms = kTickMs;
  bool started = false;  // what an earlier run left unsigned does not wait for its time
  while (
      !changed_.wait_for(lock, std::chrono::milliseconds(pause_ms), [this] { return ending_; })) {
    lock.unlock();
    if (!started && notary_->cleared()) {
      started = true;
      make("start");
    } else if (notary_->due()) {
      make(notary_->unsigned_rows() >= limits::kAuditHeadRows ? "rows" : "time");
    }
    measure(*notary_);
    lock.lock();
    pause_ms = trouble_.empty() ? kTickMs : limits::kAuditRetryMs;
  }
}

void AuditKeeper::make(std::string_view cause) {
  const auto made = in_flight_.run([&] { return notary_->make(cause); });
  const std::string now =
      made ? "" : "the ledger's head: " + made.error().code + ": " + made.error().detail;
  const std::lock_guard lock(mutex_);
  // Once for each cause: an HSM may be away for days.
  if (!now.empty() && now != trouble_) log::warning(now);
  trouble_ = now;
}

void AuditKeeper::end() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
}

AuditKeeper::~AuditKeeper() {
  end();
  if (thread_.joinable()) thread_.join();
}

void AuditKeeper::make_last() {
  if (thread_.joinable()) thread_.join();
  if (notary_ && notary_->cleared()) make("stop");
}

}  // namespace keyward::signer
