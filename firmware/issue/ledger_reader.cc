#include "firmware/issue/ledger_reader.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "firmware/issue/crl_content.h"
#include "firmware/issue/record_file.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/der.h"
#include "firmware/x509/tbs.h"

namespace keyward::issue {
namespace {

constexpr std::string_view kSegmentSuffix = ".ledger";
constexpr std::size_t kSegmentDigits = 12;

tl::unexpected<Error> corrupt(const char* what, std::uint64_t row) {
  return fail(ErrorKind::kCorrupt, what, static_cast<std::int64_t>(row));
}

// First row of the file of that name; kCorrupt for a name that no segment has.
Result<std::uint64_t> segment_from(std::string_view name) {
  const bool shaped = name.size() == kSegmentDigits + kSegmentSuffix.size() &&
                      name.ends_with(kSegmentSuffix) &&
                      std::all_of(name.begin(), name.begin() + kSegmentDigits,
                                  [](char c) { return c >= '0' && c <= '9'; });
  if (!shaped) return corrupt("a file that is no ledger segment lies in the ledger directory", 0);
  return std::strtoull(std::string(name.substr(0, kSegmentDigits)).c_str(), nullptr, 10);
}

Result<std::vector<std::uint64_t>> list_segments(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  if (!dir) return fail(ErrorKind::kUnavailable, "cannot open the ledger directory", errno);
  std::vector<std::uint64_t> out;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (out.size() >= limits::kLedgerSegmentsMax)
      return fail(ErrorKind::kExhausted, "too many ledger segments");
    KEYWARD_TRY(first, segment_from(name));
    out.push_back(first);
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

class RowChecker::Impl {
 public:
  explicit Impl(LedgerSummary& summary) : summary_(summary) {}

  Status take(const LedgerRow& row, const Digest256& hash) {
    if (row.number != summary_.rows)
      return corrupt("a row number is missing or repeated", summary_.rows);
    if (row.previous != summary_.head) return corrupt("the chain of hashes is broken", row.number);
    if (row.time_ms < summary_.last_time_ms)
      return corrupt("a row is older than the one before", row.number);
    const bool shaped = row.genesis.has_value() == (row.kind == RowKind::kGenesis) &&
                        row.intent.has_value() == (row.kind == RowKind::kIntent) &&
                        row.outcome.has_value() == (row.kind == RowKind::kOutcome) &&
                        row.revocation.has_value() == (row.kind == RowKind::kRevocation) &&
                        row.cancellation.has_value() == (row.kind == RowKind::kCancellation) &&
                        row.list_intent.has_value() == (row.kind == RowKind::kListIntent) &&
                        row.list_outcome.has_value() == (row.kind == RowKind::kListOutcome) &&
                        row.operators.has_value() == (row.kind == RowKind::kOperators) &&
                        row.operator_order.has_value() == (row.kind == RowKind::kOperatorOrder);
    if (!shaped) return corrupt("a row's content is not of its kind", row.number);
    if ((row.number == 0) != (row.kind == RowKind::kGenesis))
      return corrupt("the genesis row is not the first, or not alone", row.number);
    if (row.genesis && row.genesis->format != "keyward-ledger-1")
      return corrupt("a ledger of another format", row.number);
    if (row.intent) KEYWARD_CHECK(take_intent(row));
    if (row.outcome) KEYWARD_CHECK(take_outcome(row));
    if (row.revocation) KEYWARD_CHECK(take_revocation(row));
    if (row.cancellation) KEYWARD_CHECK(take_cancellation(row));
    if (row.list_intent) KEYWARD_CHECK(take_list_intent(row));
    if (row.list_outcome) KEYWARD_CHECK(take_list_outcome(row));
    if (row.operators) operators_sha256_ = crypto::sha256(row.operators->file);
    if (row.operator_order) KEYWARD_CHECK(take_order(row));
    ++summary_.rows;
    summary_.head = hash;
    summary_.last_time_ms = row.time_ms;
    return {};
  }
  std::vector<std::uint64_t> open_intents() const {
    std::vector<std::uint64_t> out;
    for (const auto& [number, intent] : open_) out.push_back(number);
    return out;
  }
  std::vector<std::uint64_t> open_lists() const { return {open_lists_.begin(), open_lists_.end()}; }

 private:
  Status take_intent(const LedgerRow& row) {
    if (row.intent->serial.empty()) return corrupt("an intent has no serial", row.number);
    const auto series = series_.find(row.intent->ticket_id);
    if (series != series_.end() && series->second == Series::kCanceled)
      return corrupt("an intent of a series that was canceled", row.number);
    if (!serials_.emplace(text_of(row.intent->serial), SerialState{row.number, Stage::kIntended})
             .second)
      return corrupt("a serial stands twice", row.number);
    open_.emplace(row.number, *row.intent);
    ++summary_.intents;
    return {};
  }
  Status take_outcome(const LedgerRow& row) {
    const OutcomeRow& outcome = *row.outcome;
    const auto found = open_.find(outcome.intent_row);
    if (found == open_.end())
      return corrupt("an outcome without intent, or a second one", row.number);
    const bool issued = outcome.result == OutcomeResult::kIssued;
    if (outcome.signature.has_value() != issued ||
        outcome.certificate_sha256.has_value() != issued) {
      return corrupt("an outcome's content does not fit its result", row.number);
    }
    if (issued) {
      auto certificate = certificate_of(found->second, outcome);
      if (!certificate || crypto::sha256(*certificate) != *outcome.certificate_sha256) {
        return corrupt("an issued certificate is not the intent's", row.number);
      }
      serials_.at(std::string(text_of(found->second.serial))).stage = Stage::kIssued;
      if (found->second.star_period) series_.emplace(found->second.ticket_id, Series::kRunning);
      ++summary_.issued;
    }
    if (outcome.result == OutcomeResult::kFailed) ++summary_.failed;
    if (outcome.result == OutcomeResult::kAbandoned) ++summary_.abandoned;
    open_.erase(found);
    return {};
  }
  Status take_revocation(const LedgerRow& row) {
    const RevocationRow& revocation = *row.revocation;
    const auto found = serials_.find(std::string(text_of(revocation.serial)));
    if (found == serials_.end() || found->second.intent_row != revocation.intent_row)
      return corrupt("a revocation of what is not in the ledger", row.number);
    if (found->second.stage != Stage::kIssued)
      return corrupt("a revocation of what was not issued, or a second one", row.number);
    // RFC 5280 §5.3.1: 1 is keyCompromise.
    if (revocation.compromised_spki_sha256.has_value() != (revocation.reason == 1u))
      return corrupt("a revocation's content does not fit its reason", row.number);
    const bool ordered = revocation.authority == RevocationAuthority::kOperator;
    if (ordered != revocation.order_row.has_value() ||
        (ordered && !revoking_orders_.contains(*revocation.order_row)))
      return corrupt("a revocation by an operator without his order", row.number);
    found->second.stage = Stage::kRevoked;
    ++summary_.revoked;
    return {};
  }

  Status take_order(const LedgerRow& row) {
    const OperatorOrderRow& order = *row.operator_order;
    if (order.operators_sha256 != operators_sha256_)
      return corrupt("an order that was not judged by the operators in force", row.number);
    if (!order_ids_.insert(order.id).second)
      return corrupt("an operator's order stands twice", row.number);
    if (order.order == "revoke") revoking_orders_.insert(row.number);
    ++summary_.orders;
    return {};
  }

  Status take_cancellation(const LedgerRow& row) {
    const auto found = series_.find(row.cancellation->ticket_id);
    if (found == series_.end() || found->second == Series::kCanceled)
      return corrupt("a cancellation of no series, or a second one", row.number);
    found->second = Series::kCanceled;
    return {};
  }

  Status take_list_intent(const LedgerRow& row) {
    // A delta has the number of its whole list (RFC 5280 §5.2.3), which stands before it.
    const auto number = row.list_intent->number;
    const bool delta = row.list_intent->list == kDeltaList;
    if (delta && number > summary_.list_number)
      return corrupt("a delta without its revocation list", row.number);
    if (!delta && number <= summary_.list_number)
      return corrupt("a revocation list's number does not grow", row.number);
    summary_.list_number = std::max(summary_.list_number, number);
    open_lists_.insert(row.number);
    ++summary_.lists;
    return {};
  }
  Status take_list_outcome(const LedgerRow& row) {
    const ListOutcomeRow& outcome = *row.list_outcome;
    if (open_lists_.erase(outcome.intent_row) == 0)
      return corrupt("a list's outcome without intent, or a second one", row.number);
    const bool issued = outcome.result == OutcomeResult::kIssued;
    if (outcome.list_sha256.has_value() != issued)
      return corrupt("a list's outcome does not fit its result", row.number);
    if (issued) ++summary_.lists_issued;
    return {};
  }

  enum class Series : std::uint8_t { kRunning = 1, kCanceled = 2 };
  enum class Stage : std::uint8_t { kIntended = 1, kIssued = 2, kRevoked = 3 };
  struct SerialState {
    std::uint64_t intent_row = 0;
    Stage stage = Stage::kIntended;
  };
  std::map<TicketId, Series> series_;  // of which a certificate was issued
  LedgerSummary& summary_;
  std::map<std::uint64_t, IntentRow> open_;
  std::set<std::uint64_t> open_lists_;
  std::optional<Digest256> operators_sha256_;
  std::set<std::array<std::uint8_t, 16>> order_ids_;
  std::set<std::uint64_t> revoking_orders_;
  std::unordered_map<std::string, SerialState> serials_;
};

RowChecker::RowChecker(LedgerSummary& summary) : impl_(std::make_unique<Impl>(summary)) {}
RowChecker::~RowChecker() = default;
Status RowChecker::take(const LedgerRow& row, const Digest256& hash) {
  return impl_->take(row, hash);
}
std::vector<std::uint64_t> RowChecker::open_intents() const { return impl_->open_intents(); }
std::vector<std::uint64_t> RowChecker::open_lists() const { return impl_->open_lists(); }

std::string segment_path(const std::string& directory, std::uint64_t first_row) {
  char name[64];
  ::snprintf(name, sizeof name, "/%012llu.ledger", static_cast<unsigned long long>(first_row));
  return directory + name;
}

Result<LedgerSummary> read_ledger(const std::string& directory, const RowVisitor& visit) {
  KEYWARD_TRY(segments, list_segments(directory));
  LedgerSummary summary;
  RowChecker checker(summary);
  for (const auto first : segments) {
    if (summary.torn_bytes > 0)
      return corrupt("a segment that is not the last one is torn", summary.rows);
    if (first != summary.rows) return corrupt("a ledger segment is missing", summary.rows);
    auto scan =
        scan_records(segment_path(directory, first), limits::kLedgerRowBytesMax,
                     [&](ByteView body, const Digest256& hash, std::uint64_t offset) -> Status {
                       auto row = wire::decode_body<LedgerRow>(body);
                       if (!row) return corrupt("a row is not readable", summary.rows);
                       KEYWARD_CHECK(checker.take(*row, hash));
                       summary.last_place = RowPlace{first, offset};
                       return visit(*row, RowPlace{first, offset});
                     });
    if (!scan) return fail(scan.error());
    summary.segments.push_back(first);
    summary.last_segment_bytes = scan->good_bytes;
    summary.torn_bytes = scan->torn_bytes;
  }
  summary.open_intents = checker.open_intents();
  summary.open_lists = checker.open_lists();
  return summary;
}

Result<Bytes> certificate_of(const IntentRow& intent, const OutcomeRow& outcome) {
  if (!outcome.signature) return fail(ErrorKind::kCorrupt, "the outcome has no signature");
  // TBSCertificate (RFC 5280 §4.1.2): version, serialNumber, then the AlgorithmIdentifier.
  x509::DerReader outer(intent.tbs_der);
  auto tbs = outer.sequence();
  if (!tbs || !tbs->any() || !tbs->any())
    return fail(ErrorKind::kCorrupt, "the intent's TBS is not readable");
  auto algorithm = tbs->element_whole(x509::tag::kSequence);
  if (!algorithm) return fail(ErrorKind::kCorrupt, "the intent's TBS is not readable");
  return x509::join_certificate(intent.tbs_der, *algorithm, *outcome.signature);
}

Result<LedgerSummary> verify_issued(const std::string& directory,
                                    const crypto::PublicKey& issuer_key) {
  std::map<std::uint64_t, IntentRow> open;
  return read_ledger(directory, [&](const LedgerRow& row, const RowPlace&) -> Status {
    if (row.intent) open.emplace(row.number, *row.intent);
    if (!row.outcome) return {};
    const auto found = open.find(row.outcome->intent_row);
    if (found == open.end()) return corrupt("an outcome without intent", row.number);
    const IntentRow intent = std::move(found->second);
    open.erase(found);
    if (row.outcome->result != OutcomeResult::kIssued) return {};
    KEYWARD_TRY(der, certificate_of(intent, *row.outcome));
    auto certificate = x509::parse_certificate(der);
    if (!certificate || !x509::verify_signed_by(*certificate, issuer_key)) {
      return corrupt("an issued certificate does not verify with the issuer's key", row.number);
    }
    return {};
  });
}

}  // namespace keyward::issue
