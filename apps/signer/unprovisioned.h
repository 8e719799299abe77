// Owns the signer of a unit that has no CA yet, or no more. Must not know the gate.
#pragma once

#include <string>
#include <vector>

#include "firmware/task/task.h"

namespace keyward::signer {

// Returns at once where all that a ceremony makes is there and the unit was not zeroised. Else the task says
// "unprovisioned", refuses every request of its peers, and ends as soon as what was missing is there,
// so that a new start reads everything. `products`: the configured issuer_chain and operators file (empty: not configured).
// A file that is there and cannot be read is a wrong configuration, which is not said here.
void wait_until_provisioned(task::Task& task, const std::string& state_dir,
                            const std::vector<std::string>& products);

}  // namespace keyward::signer
