// Owns the operators file: who may order what at this unit, made at the key ceremony
// (docs/operations/orders.md). Must not know orders, tasks or the ledger.
//
//   {"version":1, "unit":"<id>", "operators":[{"name","jwk","roles":[…]}], "dual_control":[…]}
//
// Strict: a member that is not known, a key or a name that stands twice, a role that nobody knows, or
// a key other than P-256 and Ed25519 makes the whole file unusable. Nothing in it is secret.
// Errors: kBadInput, kRefused, kExhausted (over a limit). Threads: values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "firmware/jose/jwk.h"

namespace keyward::operate {

// What an operator may order; `dual_control` names these or single orders.
inline constexpr std::string_view kRoles[] = {"revoke", "policy", "eab",  "account",
                                              "ca",     "backup", "audit"};

struct Operator {
  std::string name;
  jose::Jwk jwk;
  std::vector<std::string> roles;
  bool has(std::string_view role) const;
};

class Operators {
 public:
  static Result<Operators> parse(std::string_view text);

  const std::string& unit() const { return unit_; }
  const std::vector<Operator>& all() const { return operators_; }
  const std::vector<std::string>& dual_control() const { return dual_control_; }
  // By RFC 7638 thumbprint in base64url, as an order's `kid` has it; null: nobody.
  const Operator* find(std::string_view kid) const;
  // Two operators are needed for this order, or for all orders of this role.
  bool needs_two(std::string_view role, std::string_view order) const;
  // SHA-256 of the file as it was read.
  const Digest256& digest() const { return digest_; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  Digest256 digest_{};
  std::string unit_;
  std::vector<Operator> operators_;
  std::vector<std::string> dual_control_;
};

}  // namespace keyward::operate
