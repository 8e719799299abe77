// Owns what the operator does to an account at the unit: show, revoke, give another key (RFC 8555
// §7.1.6 "revoked"; protocols: account recovery). Must not know the command line.
//
// Requests stand in a file; each is carried out once and its result written beside it. A power cut
// in between repeats it, which changes nothing: a revoked account stays revoked, and a key that is
// the account's already is left. As with a recovery, no grant follows the new key.
//
// Where operators are configured, a revocation or another key needs their signed order
// (`account-revoke`, `account-rekey`), which names the account's present key: it so counts once.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "firmware/acme/account_requests.h"
#include "firmware/acme/context.h"
#include "firmware/operate/operator_file.h"
#include "hal/base/limits.h"

namespace keyward::acme {

class AccountDesk {
 public:
  explicit AccountDesk(Context& context);
  // Carries out what is new. Cheap while nothing is. One caller at a time.
  void look();

 private:
  // Empty: done() may be. Else the refusal: "order-required", or the order's own code.
  std::optional<AccountResult> check_order(const AccountRequest& request,
                                           const wire::AccountRecord& account) const;
  AccountResult carry_out(const AccountRequest& request);
  AccountResult revoke(const AccountRequest& request);
  AccountResult rekey(const AccountRequest& request, const wire::AccountRecord& account);
  bool save() const;

  Context& context_;
  const std::string folder_;
  operate::WatchedFile<std::vector<AccountRequest>> requests_;
  std::vector<AccountResult> results_;  // oldest first
  bool unfinished_ = false;             // a task was away: looked at again
};

}  // namespace keyward::acme
