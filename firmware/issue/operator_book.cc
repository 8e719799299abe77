#include "firmware/issue/operator_book.h"

#include "firmware/crypto/crypto.h"

namespace keyward::issue {
namespace {

constexpr std::size_t kUnfinishedMax = 16;

// What is not in the ledger's own rows: revocations, and files of their own beside it.
bool has_effects_elsewhere(std::string_view order) {
  return order == "revoke" || order == "account-rekey" || order == "eab-revoke";
}

}  // namespace

Status OperatorBook::note_row(const LedgerRow& row) {
  if (row.operators) {
    const std::lock_guard lock(mutex_);
    operators_sha256_ = crypto::sha256(row.operators->file);
  }
  if (!row.operator_order) return {};
  auto order = operate::recorded_order(row.operator_order->jws);
  if (!order || order->head().id != row.operator_order->id ||
      order->head().order != row.operator_order->order)
    return fail(ErrorKind::kCorrupt, "an operator's order in the ledger is not readable",
                static_cast<std::int64_t>(row.number));
  note_order(*order, row.number, row.time_ms);
  if (!has_effects_elsewhere(order->head().order)) return {};
  const std::lock_guard lock(mutex_);
  unfinished_.insert_or_assign(row.number, Unfinished{row.number, std::move(*order),
                                                      crypto::sha256(row.operator_order->jws)});
  if (unfinished_.size() > kUnfinishedMax) unfinished_.erase(unfinished_.begin());
  return {};
}

void OperatorBook::note_order(const operate::PermittedOrder& order, std::uint64_t row,
                              std::int64_t time_ms) {
  const auto& head = order.head();
  const std::lock_guard lock(mutex_);
  prune(time_ms);
  used_.insert_or_assign(head.id, Used{row, head.expires_ms});
  if (head.order == "hold-issuance") hold_ = Hold{time_ms, head.reason};
  if (head.order == "resume-issuance") hold_.reset();
  if (head.order == "account-revoke") {
    if (const auto account = operate::read_account(order)) closed_.insert(*account);
  }
  if (head.order == "policy-approve") {
    if (const auto digest = operate::read_policy_digest(order)) approved_ = *digest;
  }
}

// An order that ended so long ago can only be played again by a clock that is wrong by as much; the
// ledger's own time stands against that.
void OperatorBook::prune(std::int64_t now_ms) {
  if (used_.size() < limits::kOperatorOrdersKeptMax) return;
  std::erase_if(used_, [&](const auto& entry) {
    return entry.second.expires_ms + 2 * limits::kOperatorOrderLifeMs < now_ms;
  });
}

bool OperatorBook::is_used(const operate::OrderId& id) const { return row_of(id).has_value(); }

std::optional<std::uint64_t> OperatorBook::row_of(const operate::OrderId& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = used_.find(id);
  if (found == used_.end()) return std::nullopt;
  return found->second.row;
}

std::optional<Hold> OperatorBook::hold() const {
  const std::lock_guard lock(mutex_);
  return hold_;
}

bool OperatorBook::is_closed(const Digest256& thumbprint) const {
  const std::lock_guard lock(mutex_);
  return closed_.contains(thumbprint);
}

std::size_t OperatorBook::closed_accounts() const {
  const std::lock_guard lock(mutex_);
  return closed_.size();
}

std::optional<Digest256> OperatorBook::approved_policy() const {
  const std::lock_guard lock(mutex_);
  return approved_;
}

std::optional<Digest256> OperatorBook::operators_sha256() const {
  const std::lock_guard lock(mutex_);
  return operators_sha256_;
}

std::vector<OperatorBook::Unfinished> OperatorBook::take_unfinished() {
  const std::lock_guard lock(mutex_);
  std::vector<Unfinished> out;
  for (auto& [row, order] : unfinished_) out.push_back(std::move(order));
  unfinished_.clear();
  return out;
}

}  // namespace keyward::issue
