// Owns what operators' orders have changed for the gate, as the ledger tells it: which ids were used,
// whether issuing is held, which accounts are closed, which policy is approved. Must not know
// signatures (firmware/operate/order.h), nor files: rebuilt from the ledger's rows at start.
// Threads: any; one order at a time (the gate's).
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "firmware/issue/digest_hash.h"
#include "firmware/issue/ledger_rows.h"
#include "firmware/operate/order.h"

namespace keyward::issue {

// Issuing stands still because an operator said so.
struct Hold {
  std::int64_t since_ms = 0;
  std::string reason;
};

class OperatorBook {
 public:
  // From the ledger, row by row. kCorrupt: a row that cannot have been written here.
  Status note_row(const LedgerRow& row);
  // An order that stands in the ledger now.
  void note_order(const operate::PermittedOrder& order, std::uint64_t row, std::int64_t time_ms);

  bool is_used(const operate::OrderId& id) const;
  std::optional<std::uint64_t> row_of(const operate::OrderId& id) const;
  std::optional<Hold> hold() const;
  bool is_closed(const Digest256& thumbprint) const;  // of an account: `account-revoke`
  std::size_t closed_accounts() const;
  std::optional<Digest256> approved_policy() const;
  // Of the file that the newest operators row holds; absent: there never was one.
  std::optional<Digest256> operators_sha256() const;

  // The newest orders of the ledger of which the ledger alone does not tell that they were
  // carried out to the end: the process may have ended in between. Of older ones
  // an earlier start took care. Taken once, after start.
  struct Unfinished {
    std::uint64_t row = 0;
    operate::PermittedOrder order;
    Digest256 jws_sha256{};
  };
  std::vector<Unfinished> take_unfinished();

 private:
  void prune(std::int64_t now_ms);  // mutex_ held

  struct Used {
    std::uint64_t row = 0;
    std::int64_t expires_ms = 0;
  };
  mutable std::mutex mutex_;
  std::map<operate::OrderId, Used> used_;
  std::optional<Hold> hold_;
  std::unordered_set<Digest256, RandomOctetsHash> closed_;
  std::optional<Digest256> approved_;
  std::optional<Digest256> operators_sha256_;
  std::map<std::uint64_t, Unfinished> unfinished_;
};

}  // namespace keyward::issue
