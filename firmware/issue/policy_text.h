// Owns the one text that says under which policy this signer issues: what operators approve is its
// digest (docs/operations/policy.md). Must not know who approved it, nor judge it.
//
// One line for each setting, `name = value`, in a fixed order: equal policies have equal texts. All
// that widens or narrows what the gate lets through stands in it, and which key signs. Threads:
// functions.
#pragma once

#include <string>

#include "firmware/issue/gate.h"

namespace keyward::issue {

std::string policy_text(const GateConfig& config, const Issuer& issuer);
Digest256 policy_digest(const GateConfig& config, const Issuer& issuer);

}  // namespace keyward::issue
