#include "firmware/audit/auditor.h"

#include <algorithm>
#include <map>

#include "firmware/operate/order.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/ledger_head_usage.h"
#include "firmware/x509/tbs.h"

namespace keyward::audit {
namespace {

constexpr std::size_t kPemBytesMax = 131'072;
constexpr std::string_view kNameConstraintsOid = "2.5.29.30";
using x509::Certificate;

Result<std::vector<Certificate>> certificates_of(std::string_view pem) {
  KEYWARD_TRY(ders, x509::certificates_from_pem(pem, limits::kChainCertificatesMax));
  std::vector<Certificate> out;
  for (const auto& der : ders) {
    KEYWARD_TRY(certificate, x509::parse_certificate(der));
    out.push_back(std::move(certificate));
  }
  return out;
}

// Whom the root vouches for. Validity counts at their own beginning: a ledger outlives them.
struct Trusted {
  std::vector<Certificate> issuers;
  std::vector<crypto::PublicKey> audit_keys;
};

bool leads_to(const Certificate& certificate, const std::vector<Certificate>& between,
              const Certificate& root) {
  return x509::verify_chain(certificate, between, {root},
                            {certificate.not_before_ms, {std::string(kNameConstraintsOid)}})
      .has_value();
}

Result<Trusted> trust(Bundle& bundle, std::string_view root_pem) {
  KEYWARD_TRY(roots, certificates_of(root_pem));
  if (roots.size() != 1) return fail(ErrorKind::kBadInput, "--root must hold one certificate");
  const Certificate& root = roots.front();
  if (!root.key || !x509::verify_signed_by(root, *root.key))
    return fail(ErrorKind::kBadInput, "the root certificate is not self-signed");
  KEYWARD_TRY(chain_pem, bundle.text(Section::kChain, kPemBytesMax));
  KEYWARD_TRY(chain, certificates_of(chain_pem));
  Trusted out;
  for (const auto& certificate : chain) {
    if (certificate.key && certificate.basic_constraints_ca() == true &&
        certificate.der != root.der && leads_to(certificate, chain, root))
      out.issuers.push_back(certificate);
  }
  if (out.issuers.empty())
    return fail(ErrorKind::kRefused, "no issuing CA in the export that this root certified");
  KEYWARD_TRY(audit_pem, bundle.text(Section::kAudit, kPemBytesMax));
  if (audit_pem.empty()) return out;
  KEYWARD_TRY(audits, certificates_of(audit_pem));
  for (const auto& certificate : audits) {
    const bool is_for_heads = certificate.extended_key_usages() ==
                                  std::vector<std::string>{std::string(x509::kLedgerHeadUsage)} &&
                              certificate.basic_constraints_ca() != true &&
                              certificate.key_usage(x509::kDigitalSignature) == true;
    // By the root itself: an issuing CA must not certify its own auditor.
    if (is_for_heads && certificate.key && leads_to(certificate, {}, root))
      out.audit_keys.push_back(*certificate.key);
  }
  if (out.audit_keys.empty())
    return fail(ErrorKind::kRefused, "no audit key in the export that this root certified");
  return out;
}

// Lines of the heads' part, one at a time. Empty optional: no more.
class HeadLines {
 public:
  explicit HeadLines(Bundle& bundle) : bundle_(bundle) {
    for (const auto& part : bundle.parts()) {
      if (part.section == Section::kHeads) part_ = part;
    }
  }
  Result<std::optional<std::string>> next() {
    for (;;) {
      const auto end = buffer_.find('\n');
      if (end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return std::optional<std::string>(std::move(line));
      }
      const auto left = part_.size - at_;
      if (left == 0 || buffer_.size() > limits::kAuditHeadLineBytesMax)
        return std::optional<std::string>();
      const auto old = buffer_.size();
      const auto more = static_cast<std::size_t>(std::min<std::uint64_t>(left, 16'384));
      buffer_.resize(old + more);
      KEYWARD_CHECK(bundle_.read(part_.offset + at_,
                                 reinterpret_cast<std::uint8_t*>(buffer_.data() + old), more));
      at_ += more;
    }
  }
  bool torn() const { return !buffer_.empty(); }

 private:
  Bundle& bundle_;
  Bundle::Part part_{};
  std::uint64_t at_ = 0;
  std::string buffer_;
};

struct KeptHead {
  Digest256 line_sha256{};
  std::uint64_t row = 0;
};
using KeptHeads = std::map<std::uint64_t, KeptHead>;  // by the head's number

bool is_signed(const SignedHead& head, const Trusted& trusted) {
  return std::ranges::any_of(trusted.audit_keys, [&](const crypto::PublicKey& key) {
    return verify(head, key).has_value();
  });
}

Result<KeptHeads> read_kept(std::string_view text, const Trusted& trusted) {
  KeptHeads out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    if (out.size() >= limits::kAuditHeadsMax)
      return fail(ErrorKind::kExhausted, "too many heads were kept");
    const auto parsed = parse_line(line);
    if (!parsed) return fail(ErrorKind::kBadInput, "a line of the kept heads is no head");
    if (!is_signed(*parsed, trusted))
      return fail(ErrorKind::kRefused, "a kept head is not signed by an audit key of this root");
    const auto [place, fresh] =
        out.try_emplace(parsed->head.number, KeptHead{parsed->line_sha256, parsed->head.row});
    if (!fresh && place->second.line_sha256 != parsed->line_sha256)
      return fail(ErrorKind::kRefused,
                  "two kept heads have one number: the key signed two ledgers");
  }
  return out;
}

// Signatures, numbers and counters of all heads; those that still bind rows.
class HeadChain {
 public:
  HeadChain(const Trusted& trusted, const KeptHeads& kept, AuditReport& report)
      : trusted_(trusted), kept_(kept), report_(report) {}

  Status read(Bundle& bundle) {
    HeadLines lines(bundle);
    for (;;) {
      KEYWARD_TRY(line, lines.next());
      if (!line) break;
      if (count_ >= limits::kAuditHeadsMax)
        return fail(ErrorKind::kExhausted, "too many heads in the export");
      take(*line);
      if (flaw) return {};
    }
    if (lines.torn()) report_.notes.emplace_back("the newest head never got whole");
    check_newest_kept();
    return {};
  }

  std::optional<Finding> flaw;
  std::vector<KnownHead> heads;  // ascending rows
  std::optional<std::array<std::uint8_t, 16>> ledger_id;

 private:
  void complain(Flaw what, const std::string& detail, std::uint64_t row, std::uint64_t row_to) {
    flaw =
        Finding{what, "head " + std::to_string(count_) + ": " + detail, row, row_to, 0, 0, count_};
  }
  std::uint64_t after_last() const { return heads.empty() ? 0 : heads.back().row + 1; }

  void take(const std::string& line) {
    const auto parsed = parse_line(line);
    if (!parsed) return complain(Flaw::kHead, "not readable", after_last(), after_last());
    const Head& head = parsed->head;
    if (!is_signed(*parsed, trusted_))
      return complain(Flaw::kHead, "not signed by an audit key that the root certified", head.row,
                      head.row);
    if (head.number != count_)
      return complain(
          Flaw::kDropped,
          "heads are missing or reordered: here stands number " + std::to_string(head.number),
          after_last(), head.row);
    if (const auto kept = kept_.find(head.number);
        kept != kept_.end() && kept->second.line_sha256 != parsed->line_sha256)
      return complain(Flaw::kForked, "another head of this number was kept elsewhere", after_last(),
                      std::max(head.row, kept->second.row));
    if (head.previous_line != previous_line_)
      return complain(Flaw::kHead, "it follows another head than the one before it", after_last(),
                      head.row);
    if (head.accepted) take_acceptance(head);
    // An accepted head may say again what the rows that were found say.
    if (!heads.empty() &&
        (head.row < heads.back().row || (head.row == heads.back().row && !head.accepted)))
      return complain(Flaw::kHead, "it covers less than the head before it", head.row, head.row);
    if (!take_counter(head)) return;
    if (ledger_id && *ledger_id != head.ledger_id && !head.accepted)
      return complain(Flaw::kHead, "it is of another ledger", head.row, head.row);
    ledger_id = head.ledger_id;
    heads.push_back({head.number, head.row, head.row_sha256, head.time_ms, head.counter});
    previous_line_ = parsed->line_sha256;
    ++count_;
    report_.heads = count_;
  }

  void check_newest_kept() {
    if (kept_.empty() || kept_.rbegin()->first < count_) return;
    const auto& [number, kept] = *kept_.rbegin();
    complain(
        Flaw::kTruncated,
        "the heads end before it, and number " + std::to_string(number) + " was kept elsewhere",
        after_last(), std::max(kept.row, after_last()));
  }

  // Rows that were lost before it bind nothing any more; those that it found do.
  void take_acceptance(const Head& head) {
    const auto& accepted = *head.accepted;
    std::uint64_t lost = 0;
    while (!heads.empty() && heads.back().row >= accepted.rows_found) {
      heads.pop_back();
      ++lost;
    }
    report_.notes.push_back("head " + std::to_string(head.number) + ", row " +
                            std::to_string(head.row) + ": an operator accepted " + accepted.code +
                            " with " + std::to_string(accepted.rows_found) + " rows found" +
                            (lost > 0 ? ", " + std::to_string(lost) + " heads' rows lost" : "") +
                            "; reason: " + accepted.reason);
  }

  bool take_counter(const Head& head) {
    const auto before = counter_;
    counter_ = head.counter;
    if (head.accepted || count_ == 0 || before == head.counter) return true;
    if (!before) return true;  // anchored from here on
    if (!head.counter) {
      report_.notes.push_back("head " + std::to_string(head.number) +
                              ": not anchored any more, unlike those before");
      return true;
    }
    if (*head.counter == *before + 1) return true;
    complain(Flaw::kRolledBack,
             "the counter went from " + std::to_string(*before) + " to " +
                 std::to_string(*head.counter) + ": heads between them were taken away",
             after_last(), head.row);
    return false;
  }

  const Trusted& trusted_;
  const KeptHeads& kept_;
  AuditReport& report_;
  std::uint64_t count_ = 0;
  Digest256 previous_line_{};
  std::optional<std::uint64_t> counter_;
};

// The rows, one after the other, against what stands before, the heads, and the CA's key.
class RowPass {
 public:
  RowPass(Bundle& bundle, const Trusted& trusted, const HeadChain& chain,
          const AuditOptions& options, AuditReport& report)
      : bundle_(bundle),
        trusted_(trusted),
        options_(options),
        chain_(chain),
        report_(report),
        checker_(report.ledger) {}

  Status run(const BundleProgress& progress) {
    RecordCursor cursor(bundle_);
    RecordCursor::Record record;
    std::uint64_t all = 0, done = 0;
    for (const auto& part : bundle_.parts()) all += part.size;
    for (;;) {
      KEYWARD_TRY(more, cursor.next(record));
      if (!more) break;
      place_ = {record.segment, record.offset};
      KEYWARD_CHECK(take(record, cursor));
      if (flaw) return {};
      if (record.state == RecordCursor::State::kCut) break;
      done += record.body.size();
      if (progress && rows() % 1024 == 0) progress(done, all);
    }
    finish();
    return {};
  }

  std::optional<Finding> flaw;

 private:
  std::uint64_t rows() const { return report_.ledger.rows; }

  void complain(Flaw what, const std::string& detail, std::uint64_t row, std::uint64_t row_to) {
    flaw = Finding{what, detail, row, row_to, place_.segment, place_.offset, std::nullopt};
  }
  void complain(Flaw what, const std::string& detail) { complain(what, detail, rows(), rows()); }

  Status take(const RecordCursor::Record& record, RecordCursor& cursor) {
    using State = RecordCursor::State;
    if (record.offset == 0 && record.segment != rows()) {
      complain(record.segment > rows() ? Flaw::kDropped : Flaw::kReordered,
               "the file that begins with row " + std::to_string(record.segment) +
                   " stands where row " + std::to_string(rows()) + " belongs",
               rows(), std::max(rows(), record.segment) - (record.segment > rows() ? 1 : 0));
      return {};
    }
    if (record.state == State::kCut && record.last_segment) {
      report_.ledger.torn_bytes = 1;
      report_.notes.emplace_back("a row that never got whole stands at the end");
      return {};
    }
    if (record.state == State::kCut) {
      complain(Flaw::kTruncated, "the file ends inside this row, and another follows");
      return {};
    }
    if (record.state == State::kFrame) {
      complain(Flaw::kChanged, "its length is not readable");
      return {};
    }
    if (record.state == State::kDigest) {
      complain(Flaw::kChanged, "its octets do not have the digest that stands behind them");
      return {};
    }
    const auto row = wire::decode_body<issue::LedgerRow>(record.body);
    if (!row) {
      complain(Flaw::kChanged, "not readable as a row");
      return {};
    }
    if (row->number != rows()) return take_wrong_number(row->number, cursor);
    if (row->previous != report_.ledger.head) {
      take_wrong_link(*row);
      return {};
    }
    if (const auto taken = checker_.take(*row, record.digest); !taken) {
      complain(Flaw::kInconsistent, taken.error().what);
      return {};
    }
    return take_whole(*row, record.digest, cursor);
  }

  // Dropped or moved: the rest of the file says which.
  Status take_wrong_number(std::uint64_t number, RecordCursor& cursor) {
    const auto place = place_;
    if (number < rows()) {
      complain(Flaw::kReordered, "row " + std::to_string(number) + " stands here again");
      return {};
    }
    RecordCursor::Record later;
    for (;;) {
      KEYWARD_TRY(more, cursor.next(later));
      if (!more) break;
      const auto row = wire::decode_body<issue::LedgerRow>(later.body);
      if (!row || row->number != rows()) continue;
      place_ = place;
      complain(Flaw::kReordered, "row " + std::to_string(number) + " stands in its place, and it " +
                                     "stands behind it");
      return {};
    }
    complain(Flaw::kDropped,
             "row " + std::to_string(number) + " follows row " +
                 (rows() == 0 ? "nothing" : std::to_string(rows() - 1)),
             rows(), number - 1);
    return {};
  }

  void take_wrong_link(const issue::LedgerRow& row) {
    // A head knows the row before: then it is this one's link that was changed.
    if (row.number == 0 || (next_head_ > 0 && chain_.heads[next_head_ - 1].row + 1 == row.number))
      return complain(Flaw::kChanged, "it names another row before it");
    place_ = last_place_;
    complain(Flaw::kChanged,
             "the next row names another hash: it was changed, or what follows is another ledger's",
             row.number - 1, row.number - 1);
  }

  Status take_whole(const issue::LedgerRow& row, const Digest256& hash, RecordCursor& cursor) {
    last_place_ = place_;
    if (row.genesis && chain_.ledger_id && row.genesis->ledger_id != *chain_.ledger_id) {
      complain(Flaw::kForked, "the signed heads are of another ledger", 0, 0);
      return {};
    }
    if (row.intent) open_.emplace(row.number, *row.intent);
    if (row.outcome) check_certificate(row);
    if (row.operators) take_operators(row);
    if (row.operator_order) check_order(row);
    while (!flaw && next_head_ < chain_.heads.size() &&
           chain_.heads[next_head_].row == row.number) {
      const auto& head = chain_.heads[next_head_];
      if (head.row_sha256 != hash) return take_wrong_head(head, cursor);
      report_.last_head = head;
      ++next_head_;
    }
    return {};
  }

  // If the next row agrees with the head, this one alone was changed; else all since the last head
  // that agrees may have been.
  Status take_wrong_head(const KnownHead& head, RecordCursor& cursor) {
    RecordCursor::Record next;
    KEYWARD_TRY(more, cursor.next(next));
    const auto row = more ? wire::decode_body<issue::LedgerRow>(next.body)
                          : Result<issue::LedgerRow>(fail(ErrorKind::kBadInput, "no more rows"));
    const std::uint64_t first = next_head_ == 0 ? 0 : chain_.heads[next_head_ - 1].row + 1;
    if (row && row->previous == head.row_sha256)
      complain(Flaw::kChanged, "the next row and a signed head name another hash", head.row,
               head.row);
    else
      complain(Flaw::kForked,
               "the rows are whole in themselves, but the signed head " +
                   std::to_string(head.number) + " names another row " + std::to_string(head.row),
               first, head.row);
    flaw->head = head.number;
    return {};
  }

  void check_certificate(const issue::LedgerRow& row) {
    const auto found = open_.find(row.outcome->intent_row);
    if (found == open_.end()) return;
    const auto intent = std::move(found->second);
    open_.erase(found);
    if (row.outcome->result != issue::OutcomeResult::kIssued) return;
    const auto der = issue::certificate_of(intent, *row.outcome);
    const auto certificate = der ? x509::parse_certificate(*der, x509::KeyReading::kSkip)
                                 : Result<Certificate>(fail(der.error()));
    const auto signs = [&](const Certificate& issuer) {
      return issuer.subject_der == certificate->issuer_der &&
             x509::verify_signed_by(*certificate, *issuer.key).has_value();
    };
    if (!certificate || !std::ranges::any_of(trusted_.issuers, signs))
      complain(Flaw::kForged, "no issuing CA of this root signed the certificate");
  }

  void take_operators(const issue::LedgerRow& row) {
    const std::string text(text_of(row.operators->file));
    operators_.reset();
    const auto& known = options_.operators;
    if (!known.empty() && !text.empty() && std::ranges::find(known, text) == known.end())
      return complain(Flaw::kForged, "the operators are not those that were given");
    std::string names;
    if (!text.empty()) {
      auto operators = operate::Operators::parse(text);
      if (!operators) return complain(Flaw::kInconsistent, "the operators file is not readable");
      for (const auto& one : operators->all()) names += " " + one.name;
      operators_ = std::move(*operators);
    }
    report_.notes.push_back("row " + std::to_string(row.number) +
                            (text.empty()
                                 ? ": nobody may order anything from here on"
                                 : ": orders count from here on by" + names + " (operators file " +
                                       hex_encode(crypto::sha256(view_of(text))) + ")"));
  }

  // As the signer judged it. The row's time is a little later than the signer's look at the clock.
  void check_order(const issue::LedgerRow& row) {
    constexpr std::int64_t kJudgedBeforeMs = 60'000;
    const auto& order = *row.operator_order;
    if (!operators_) return complain(Flaw::kForged, "an order where nobody may order anything");
    const auto verified = operate::verify_order(order.jws, *operators_);
    if (!verified) return complain(Flaw::kForged, "the order: " + verified.error().code);
    auto permitted = operate::permit(*verified, *operators_, row.time_ms);
    if (!permitted && permitted.error().code == "order-expired")
      permitted = operate::permit(*verified, *operators_, row.time_ms - kJudgedBeforeMs);
    if (!permitted) return complain(Flaw::kForged, "the order: " + permitted.error().code);
    if (permitted->head().order != order.order || permitted->head().id != order.id)
      return complain(Flaw::kInconsistent, "the row says another order than its signature");
    ++report_.orders;
  }

  void finish() {
    auto& ledger = report_.ledger;
    ledger.open_intents = checker_.open_intents();
    ledger.open_lists = checker_.open_lists();
    if (next_head_ < chain_.heads.size()) {
      const auto& newest = chain_.heads.back();
      complain(Flaw::kTruncated,
               "the rows end here, and the signed head " + std::to_string(newest.number) +
                   " covers row " + std::to_string(newest.row),
               rows(), newest.row);
      flaw->head = newest.number;
      return;
    }
    report_.unsigned_rows = report_.last_head ? rows() - report_.last_head->row - 1 : rows();
  }

  Bundle& bundle_;
  const Trusted& trusted_;
  const AuditOptions& options_;
  const HeadChain& chain_;
  AuditReport& report_;
  issue::RowChecker checker_;
  std::size_t next_head_ = 0;
  issue::RowPlace place_{}, last_place_{};
  std::map<std::uint64_t, issue::IntentRow> open_;
  std::optional<operate::Operators> operators_;
};

// Signed before the counter is advanced: the counter stands at the last head's value or one below.
void check_unit_counter(std::uint64_t unit, AuditReport& report) {
  const auto& head = report.last_head;
  if (!head || !head->counter) {
    report.notes.emplace_back("no head is anchored: the unit's counter says nothing");
    return;
  }
  if (unit == *head->counter || unit + 1 == *head->counter) return;
  const auto row = head->row + 1;
  report.broken = Finding{Flaw::kRolledBack,
                          "the unit's counter stands at " + std::to_string(unit) +
                              ", the newest head says " + std::to_string(*head->counter),
                          row,
                          row,
                          0,
                          0,
                          head->number};
}

}  // namespace

std::string_view to_string(Flaw flaw) {
  switch (flaw) {
    case Flaw::kDropped:
      return "dropped";
    case Flaw::kChanged:
      return "changed";
    case Flaw::kReordered:
      return "reordered";
    case Flaw::kTruncated:
      return "truncated";
    case Flaw::kForked:
      return "forked";
    case Flaw::kInconsistent:
      return "inconsistent";
    case Flaw::kForged:
      return "forged";
    case Flaw::kHead:
      return "head";
    case Flaw::kRolledBack:
      return "rolled-back";
  }
  return "unknown";
}

Result<AuditReport> audit_bundle(Bundle& bundle, std::string_view root_pem,
                                 const AuditOptions& options) {
  KEYWARD_TRY(trusted, trust(bundle, root_pem));
  AuditReport report;
  KEYWARD_TRY(kept, read_kept(options.kept_heads, trusted));
  HeadChain chain(trusted, kept, report);
  KEYWARD_CHECK(chain.read(bundle));
  RowPass rows(bundle, trusted, chain, options, report);
  KEYWARD_CHECK(rows.run(options.progress));
  report.broken = rows.flaw;
  if (chain.flaw && (!report.broken || chain.flaw->row < report.broken->row))
    report.broken = chain.flaw;
  if (!report.broken && options.counter) check_unit_counter(*options.counter, report);
  return report;
}

Result<std::optional<Finding>> compare(Bundle& newer, Bundle& older) {
  RecordCursor mine(newer), theirs(older);
  RecordCursor::Record left, right;
  for (std::uint64_t row = 0;; ++row) {
    KEYWARD_TRY(more_right, theirs.next(right));
    if (!more_right || right.state != RecordCursor::State::kWhole) return std::optional<Finding>();
    KEYWARD_TRY(more_left, mine.next(left));
    if (!more_left || left.state == RecordCursor::State::kCut)
      return std::optional<Finding>(Finding{Flaw::kTruncated,
                                            "the older export has this row, the newer ends before",
                                            row, row, right.segment, right.offset, std::nullopt});
    if (left.digest != right.digest)
      return std::optional<Finding>(Finding{Flaw::kForked, "the older export has another row here",
                                            row, row, left.segment, left.offset, std::nullopt});
  }
}

namespace {

constexpr std::size_t kOrdersKept = 64;  // a revocation follows its order at once

void note_order(const issue::LedgerRow& order, const std::optional<operate::Operators>& operators,
                Issuance& out) {
  out.order = order;
  const auto verified = operators ? operate::verify_order(order.operator_order->jws, *operators)
                                  : operate::Verdict<operate::VerifiedOrder>(
                                        tl::unexpected<wire::Failure>(wire::Failure{}));
  if (!verified) return;
  for (const auto& signatory : verified->signatories())
    out.order_signatories.push_back(signatory.name);
}

}  // namespace

Result<std::optional<Issuance>> find_issuance(Bundle& bundle, ByteView serial) {
  RecordCursor cursor(bundle);
  RecordCursor::Record record;
  std::optional<Issuance> out;
  std::map<std::uint64_t, issue::LedgerRow> orders;  // that revoke; the newest alone are kept
  std::optional<operate::Operators> operators;
  for (;;) {
    KEYWARD_TRY(more, cursor.next(record));
    if (!more) break;
    const auto row = wire::decode_body<issue::LedgerRow>(record.body);
    if (!row) continue;
    if (row->operators) {
      auto read = operate::Operators::parse(text_of(row->operators->file));
      operators = read ? std::optional(std::move(*read)) : std::nullopt;
    }
    if (row->operator_order && row->operator_order->order == "revoke") {
      orders.insert_or_assign(row->number, *row);
      if (orders.size() > kOrdersKept) orders.erase(orders.begin());
    }
    if (!out && row->intent && equal(row->intent->serial, serial))
      out = Issuance{*row, {record.segment, record.offset}, {}, {}, {}, {}, {}, {}};
    if (!out) continue;
    if (row->outcome && row->outcome->intent_row == out->intent.number) {
      out->outcome = *row;
      out->outcome_place = {record.segment, record.offset};
    }
    if (row->revocation && row->revocation->intent_row == out->intent.number) {
      out->revocation = *row;
      const auto order = orders.find(row->revocation->order_row.value_or(0));
      if (order != orders.end()) note_order(order->second, operators, *out);
    }
  }
  if (!out) return out;
  const auto last = out->outcome ? out->outcome->number : out->intent.number;
  HeadLines lines(bundle);
  for (;;) {
    KEYWARD_TRY(line, lines.next());
    if (!line) break;
    const auto parsed = parse_line(*line);
    if (!parsed || parsed->head.row < last) continue;
    const Head& head = parsed->head;
    out->head = KnownHead{head.number, head.row, head.row_sha256, head.time_ms, head.counter};
    break;
  }
  return out;
}

}  // namespace keyward::audit
