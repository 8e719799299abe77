// How the gate carries out what operators order: verify, permit, once, look whether it can be done,
// write the order into the ledger, do it, answer (docs/operations/orders.md).
//
// The order's row comes before its effects. What a process that ended in between left undone is done
// at the next start, from the row.
#include <algorithm>

#include "firmware/issue/gate.h"
#include "firmware/issue/policy_text.h"
#include "firmware/issue/revocation.h"
#include "firmware/json/json.h"
#include "firmware/log/log.h"

namespace keyward::issue {
namespace {

constexpr std::int64_t kHeldRetryMs = 60'000;

Verdict<void> check_reason_code(std::optional<std::uint64_t> code) {
  if (!code) return {};
  // certificateHold (6) and removeFromCRL (8) would have to be taken back; 2 and 10 are of CAs.
  constexpr std::uint64_t kTaken[] = {0, kReasonKeyCompromise, 3, 4, 5, 9};
  if (std::ranges::find(kTaken, *code) != std::end(kTaken)) return {};
  return refuse("revocation-reason", "the reasons taken are 0, 1, 3, 4, 5 and 9");
}

}  // namespace

// Looked up and claimed before anything is written.
struct Gate::PlannedRevocation {
  RevocationRow row;
  RevocationClaim claim;
};

struct Gate::OrderPlan {
  std::vector<PlannedRevocation> revocations;
  std::vector<std::string> already;  // serials
  std::optional<operate::RekeyArguments> rekey;
  std::optional<std::string> eab_kid;
};

Status Gate::record_operators() {
  const auto known = book_.operators_sha256();
  const Bytes file = config_.operators ? to_bytes(config_.operators->text()) : Bytes();
  // Never any, and none now: nothing to say.
  if (!known && file.empty()) return {};
  const auto digest = crypto::sha256(file);
  if (known == digest) return {};
  LedgerRow row;
  row.operators = OperatorsRow{file};
  KEYWARD_CHECK(ledger_->append_operators(*row.operators));
  KEYWARD_CHECK(book_.note_row(row));
  log::warning("the operators are others than before",
               {{"operators_sha256", hex_encode(digest)},
                {"operators", config_.operators ? config_.operators->all().size() : 0}});
  return {};
}

Verdict<std::optional<Gate::PlannedRevocation>> Gate::plan_revocation(
    ByteView serial, const operate::RevokeArguments& wanted) {
  const auto place = certificates_.find(serial);
  if (!place) return refuse("certificate-unknown", "not issued here: serial " + hex_encode(serial));
  if (certificates_.is_revoked(serial)) return std::optional<PlannedRevocation>();
  ISSUE_TRY(stored, read_certificate(*place));
  // Found by a part of the serial: it must be this one.
  if (!equal(stored.intent.serial, serial))
    return refuse("certificate-unknown", "not issued here: serial " + hex_encode(serial));
  const auto certificate = x509::parse_certificate(stored.der, x509::KeyReading::kSkip);
  if (!certificate) return refuse(certificate.error(), "ledger-unavailable");
  auto claim = certificates_.claim(serial);
  if (!claim) return tl::unexpected<wire::Failure>(claim.error());
  RevocationRow row{stored.intent_row,
                    stored.intent.serial,
                    wanted.reason_code,
                    RevocationAuthority::kOperator,
                    {},
                    {},
                    std::nullopt,
                    certificate->not_after_ms,
                    std::nullopt};
  row.list = stored.intent.list;
  if (wanted.reason_code == kReasonKeyCompromise)
    row.compromised_spki_sha256 = crypto::sha256(certificate->spki_der);
  return std::optional<PlannedRevocation>(PlannedRevocation{std::move(row), std::move(*claim)});
}

Verdict<void> Gate::plan_revocations(const operate::PermittedOrder& order, OrderPlan& plan) {
  ISSUE_TRY(wanted, operate::read_revoke(order));
  ISSUE_CHECK(check_reason_code(wanted.reason_code));
  for (const auto& serial : wanted.serials) {
    ISSUE_TRY(planned, plan_revocation(serial, wanted));
    if (planned)
      plan.revocations.push_back(std::move(*planned));
    else
      plan.already.push_back(hex_encode(serial));
  }
  return {};
}

Verdict<Gate::OrderPlan> Gate::plan_order(const operate::PermittedOrder& order) {
  const auto& word = order.head().order;
  OrderPlan plan;
  if (word == "revoke") {
    ISSUE_CHECK(plan_revocations(order, plan));
    if (plan.revocations.empty())
      return refuse("revocation-already", "all of these certificates are revoked already");
    return plan;
  }
  if (word == "hold-issuance" || word == "resume-issuance") {
    ISSUE_CHECK(operate::read_nothing(order));
    return plan;
  }
  if (word == "account-revoke") {
    ISSUE_CHECK(operate::read_account(order));
    if (book_.closed_accounts() + 1 >= limits::kBlockedAccountsMax)
      return refuse(wire::FailureKind::kExhausted, "accounts-full",
                    "no more closed accounts can be remembered");
    return plan;
  }
  if (word == "policy-approve") {
    ISSUE_TRY(digest, operate::read_policy_digest(order));
    if (digest != policy_digest_)
      return refuse("policy-digest",
                    "this signer's policy is another: " + hex_encode(policy_digest_));
    return plan;
  }
  if (word == "account-rekey") {
    ISSUE_TRY(rekey, operate::read_rekey(order));
    ISSUE_CHECK(links_->can_link(rekey.from, rekey.to.thumbprint()));
    if (is_closed(rekey.from) || is_closed(rekey.to.thumbprint()))
      return refuse("account-revoked", "an operator closed the account");
    plan.rekey = std::move(rekey);
    return plan;
  }
  if (word == "eab-revoke") {
    ISSUE_TRY(kid, operate::read_eab_kid(order));
    plan.eab_kid = std::move(kid);
    return plan;
  }
  return refuse("order-not-here", "the signer does not carry out this order");
}

Verdict<void> Gate::write_revocation(RevocationRow row, std::uint64_t order_row,
                                     const Digest256& signatory, const Digest256& jws_sha256) {
  row.order_row = order_row;
  row.thumbprint = signatory;
  row.jws_sha256 = jws_sha256;
  const std::lock_guard lock(revoke_mutex_);
  const auto appended = ledger_->append_revocation(row);
  if (!appended) return refuse(appended.error(), "ledger-unavailable");
  certificates_.note_revocation(row, appended->time_ms);
  crl_->note_revocation(row, appended->number, appended->time_ms,
                        row.not_after_ms.value_or(INT64_MAX));
  return {};
}

// Also of an order whose effects were there before: each of them can be repeated.
Verdict<void> Gate::apply_order(const OrderPlan& plan, std::uint64_t order_row,
                                const Digest256& signatory, const Digest256& jws_sha256) {
  for (const auto& planned : plan.revocations)
    ISSUE_CHECK(write_revocation(planned.row, order_row, signatory, jws_sha256));
  if (plan.rekey)
    ISSUE_CHECK(links_->link(plan.rekey->from, plan.rekey->to.thumbprint(), clock_.utc_ms()));
  if (plan.eab_kid) {
    wire::GrantAccount withdrawal;
    withdrawal.kid = *plan.eab_kid;
    withdrawal.withdrawn = true;
    ISSUE_CHECK(accounts_->record(withdrawal, clock_.utc_ms()));
  }
  return {};
}

void Gate::finish_orders() {
  for (const auto& left : book_.take_unfinished()) {
    const auto& signatories = left.order.signatories();
    OrderPlan plan;
    Verdict<void> done;
    if (left.order.head().order == "revoke")
      done = plan_revocations(left.order, plan);
    else if (auto planned = plan_order(left.order))
      plan = std::move(*planned);
    // A key change that was carried out is refused as already linked: then nothing is left to do.
    if (done && !signatories.empty())
      done = apply_order(plan, left.row, signatories.front().thumbprint, left.jws_sha256);
    if (!done)
      log::error("an operator's order could not be finished",
                 {{"row", left.row}, {"code", done.error().code}});
  }
}

std::string Gate::order_answer(const operate::PermittedOrder& order, const OrderPlan& plan,
                               const AppendedRow& row) const {
  json::Writer out;
  out.begin_object().member_bool("done", true).member("order", order.head().order);
  out.member("id", hex_encode(order.head().id));
  out.member_int("row", static_cast<std::int64_t>(row.number));
  out.member("time", operate::time_text(row.time_ms));
  out.key("operators").begin_array();
  for (const auto& signatory : order.signatories()) out.string(signatory.name);
  out.end_array();
  if (order.head().order == "revoke") {
    out.member_int("revoked", static_cast<std::int64_t>(plan.revocations.size()));
    out.key("already_revoked").begin_array();
    for (const auto& serial : plan.already) out.string(serial);
    out.end_array();
  }
  return out.end_object().take();
}

Verdict<wire::OperatorOrderReply> Gate::carry_out(const wire::OperatorOrder& request) {
  if (!config_.operators)
    return refuse("operators-none", "no operators file is configured: nobody can order anything");
  ISSUE_TRY(verified, operate::verify_order(request.jws, *config_.operators));
  const std::lock_guard one_at_a_time(order_mutex_);
  // The ledger's own time is the floor: an order does not get younger by a clock that was set back.
  const auto now_ms = std::max(clock_.utc_ms(), ledger_->last_time_ms());
  ISSUE_TRY(order, operate::permit(verified, *config_.operators, now_ms));
  if (const auto before = book_.row_of(order.head().id))
    return refuse("order-replayed",
                  "this order stands in the ledger, row " + std::to_string(*before));
  ISSUE_TRY(plan, plan_order(order));
  const auto jws_sha256 = crypto::sha256(request.jws);
  const auto row = ledger_->append_operator_order(
      {order.head().id, order.head().order, request.jws, config_.operators->digest()});
  if (!row) return refuse(row.error(), "ledger-unavailable");
  book_.note_order(order, row->number, row->time_ms);
  ISSUE_CHECK(apply_order(plan, row->number, order.signatories().front().thumbprint, jws_sha256));
  log::warning("an operator's order was carried out",
               {{"order", order.head().order},
                {"id", hex_encode(order.head().id)},
                {"operator", order.signatories().front().name},
                {"row", row->number}});
  return wire::OperatorOrderReply{order_answer(order, plan, *row)};
}

// ---- what orders mean for issuing

bool Gate::is_closed(const Digest256& thumbprint) const {
  if (book_.closed_accounts() == 0) return false;
  const auto keys = links_->with_earlier(links_->newest(thumbprint));
  return std::ranges::any_of(keys, [&](const Digest256& key) { return book_.is_closed(key); });
}

Verdict<void> Gate::check_account_open(const Digest256& thumbprint) const {
  if (!is_closed(thumbprint)) return {};
  return refuse("account-revoked", "an operator closed the account");
}

Verdict<void> Gate::check_issuing_allowed() const {
  if (book_.hold())
    return refuse_for_now("issuance-held", "an operator holds issuance", kHeldRetryMs);
  if (config_.policy_approval_required && book_.approved_policy() != policy_digest_)
    return refuse_for_now("policy-not-approved", "no operator approved the policy in force",
                          kHeldRetryMs);
  if (crl_->nearly_full())
    return refuse_for_now("crl-full", "the revocation list has no room for more certificates",
                          kHeldRetryMs);
  return {};
}

std::string Gate::why_not_issuing() const {
  if (const auto hold = book_.hold())
    return "issuance is held since " + operate::time_text(hold->since_ms) +
           (hold->reason.empty() ? "" : ": " + hold->reason) +
           " (keywardctl order sign resume-issuance)";
  if (config_.policy_approval_required && book_.approved_policy() != policy_digest_)
    return "the policy is not approved: keywardctl order sign policy-approve --policy " +
           hex_encode(policy_digest_) + " --key OPERATOR.pem";
  if (crl_->nearly_full())
    return "the revocation list is nearly full: nothing is issued until revoked certificates end";
  return {};
}

}  // namespace keyward::issue
