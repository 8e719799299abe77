// Owns what an operator orders: a JWS that operators signed, verified before one octet of it is
// read, and then read strictly (docs/operations/orders.md). Must not know the ledger, tasks, nor how
// an order is carried out.
//
// Order is forced by types: octets -> verify_order() (every signature is an operator's of the file)
// -> VerifiedOrder, the only way to a payload -> permit() (unit, time, role, two operators) ->
// PermittedOrder -> the readers of its arguments. Whether an id was used before only the one who
// carries orders out can know.
//
// One signature: flattened JSON (RFC 7515 §7.2.2). Several: general JSON (§7.2.1). Protected header,
// these members and no others: alg (ES256 or EdDSA), kid (RFC 7638 thumbprint), typ. Failures carry
// stable codes, named at each function. Threads: functions and values.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/operate/operators.h"
#include "firmware/wire/messages/failure.h"

namespace keyward::operate {

template <class T>
using Verdict = tl::expected<T, wire::Failure>;

inline constexpr std::string_view kOrderTyp = "keyward-order+jws";

using OrderId = std::array<std::uint8_t, 16>;

// What may be ordered at all: the word in the payload, and the role that it takes.
struct OrderRule {
  std::string_view order;
  std::string_view role;
};
inline constexpr OrderRule kOrderRules[] = {
    {"revoke", "revoke"},
    // Stopping is as urgent as revoking; going on is the CA's matter.
    {"hold-issuance", "revoke"},
    {"resume-issuance", "ca"},
    {"account-revoke", "account"},
    {"account-rekey", "account"},
    {"eab-revoke", "eab"},
    {"policy-approve", "policy"},
    {"accept-rollback", "audit"},
    {"backup", "backup"},
    {"zeroise", "ca"},
};
const OrderRule* rule_of(std::string_view order);  // null: there is no such order

struct Signatory {
  std::string name;
  std::string kid;
  Digest256 thumbprint{};
  friend bool operator==(const Signatory&, const Signatory&) = default;
};

class VerifiedOrder {
 public:
  const std::vector<Signatory>& signatories() const { return signatories_; }
  const Bytes& payload() const { return payload_; }

 private:
  friend Verdict<VerifiedOrder> verify_order(ByteView, const Operators&);
  std::vector<Signatory> signatories_;
  Bytes payload_;
};

// "order-too-large", "order-malformed" (form of the JWS), "order-unsigned", "order-typ",
// "order-algorithm", "order-key-unknown", "order-signature", "order-same-operator". One bad
// signature refuses all of it.
Verdict<VerifiedOrder> verify_order(ByteView jws, const Operators& operators);

// What every order says.
struct OrderHead {
  std::string order;
  std::string unit;
  OrderId id{};
  std::int64_t issued_ms = 0;
  std::int64_t expires_ms = 0;
  std::string reason;  // words for the ledger; may be empty
};

class PermittedOrder {
 public:
  const OrderHead& head() const { return head_; }
  const std::vector<Signatory>& signatories() const { return signatories_; }
  const Bytes& payload() const { return payload_; }

 private:
  friend Verdict<PermittedOrder> permit(const VerifiedOrder&, const Operators&, std::int64_t);
  friend Verdict<PermittedOrder> recorded_order(ByteView);
  OrderHead head_;
  std::vector<Signatory> signatories_;
  Bytes payload_;
};

// "order-payload", "order-unknown", "order-unit", "order-future", "order-expired", "order-window"
// (its time is too long, or ends before it begins), "order-role", "order-dual-control".
Verdict<PermittedOrder> permit(const VerifiedOrder& order, const Operators& operators,
                               std::int64_t now_ms);

// An order as it was recorded by the one who had permitted it: neither verified nor judged again, and
// its signatories have no names. "order-malformed", "order-payload".
Verdict<PermittedOrder> recorded_order(ByteView jws);

// ---- arguments; all "order-payload"

struct RevokeArguments {
  std::vector<Bytes> serials;
  std::optional<std::uint64_t> reason_code;  // RFC 5280 §5.3.1, as the order says it
};
Verdict<RevokeArguments> read_revoke(const PermittedOrder& order);
Verdict<void> read_nothing(const PermittedOrder& order);  // no argument of its own
// {"thumbprint"}: RFC 7638, base64url, of an account's key.
Verdict<Digest256> read_account(const PermittedOrder& order);
struct RekeyArguments {
  Digest256 from{};     // {"thumbprint"}: the account's key until now
  jose::Jwk to;         // {"jwk"}
  std::string account;  // {"account"}: its URL or the last part of it; empty: not said
};
Verdict<RekeyArguments> read_rekey(const PermittedOrder& order);
Verdict<Digest256> read_policy_digest(const PermittedOrder& order);  // {"policy"}: hex
Verdict<std::string> read_eab_kid(const PermittedOrder& order);      // {"kid"}
struct AcceptArguments {
  std::string code;
  std::uint64_t rows_found = 0;
  std::optional<std::uint64_t> counter_found;
};
Verdict<AcceptArguments> read_accept(const PermittedOrder& order);

// For whoever shows an order: its signatures are whoever's they are. "order-malformed",
// "order-too-large", "order-payload".
struct ShownOrder {
  std::vector<std::string> kids;
  std::string payload;
  std::optional<OrderHead> head;  // absent: the payload is no order
};
Verdict<ShownOrder> show_order(ByteView jws);

// ---- the operator's side (keywardctl, tests)

// The payload as it will be signed. `arguments`: JSON members without braces, or empty.
std::string order_payload(const OrderHead& head, std::string_view arguments);
std::string time_text(std::int64_t utc_ms);  // RFC 3339, UTC, whole seconds
// The key must be P-256 or Ed25519: else kRefused.
Result<std::string> sign_order(const crypto::PrivateKey& key, std::string_view payload);
// Adds a signature over the same payload; the others are kept as they are, unverified. kBadInput:
// not an order; kRefused: the key has signed it already.
Result<std::string> cosign_order(const crypto::PrivateKey& key, std::string_view jws);

}  // namespace keyward::operate
