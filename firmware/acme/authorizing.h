// Owns how authorizations come to be: the challenges that are offered, and the valid authorizations
// that further orders may rely on (RFC 8555 §7.1.4, §7.4; D-A9). Must not know HTTP.
#pragma once

#include "firmware/acme/context.h"
#include "firmware/acme/methods.h"
#include "firmware/acme/problem.h"

namespace keyward::acme {

struct AuthzPlan {
  Wanted wanted;
  std::vector<wire::ValidationMethod> methods;  // that may prove it here
  std::string profile{};                        // of the order; empty: of none
  std::string written{};      // the value as the client wrote it; empty: as in `wanted`
  bool above_serves = false;  // a valid one of a name above will do, of that name alone too (D-T3)
};

// A new pending authorization with a challenge for each method that its task is willing to mint for.
// `ticket` is empty for one that serves any order of the account. The left side of a failure is
// about this identifier alone; the right side (in `gone`) about a peer that is away.
struct NotAuthorized {
  std::optional<Subproblem> fault;
  std::optional<Problem> gone;
};
tl::expected<wire::AuthzRecord, NotAuthorized> make_authz(Context& context, const Account& account,
                                                          const AuthzPlan& plan,
                                                          const std::string& ticket,
                                                          std::int64_t expires_at_ms);

// The valid authorizations of the account that may serve each plan; an empty id where none does.
// Never those of devices or authority tokens (D-A9).
Answer<std::vector<wire::AuthzRecord>> find_reusable(Context& context, const Account& account,
                                                     const std::vector<AuthzPlan>& plans);

// May `authz` serve an order that wants this? `live_until_ms`, UTC: it must live so long.
bool serves(const wire::AuthzRecord& authz, const AuthzPlan& plan, std::int64_t live_until_ms);

// The signer has no proof behind what the order relies on: no further order may rely on it either
// (RFC 8555 §7.1.6, valid -> revoked). A store that is away is left alone: the next finalize says so
// again.
void revoke_proofs(Context& context, const wire::OrderRecord& order);

}  // namespace keyward::acme
