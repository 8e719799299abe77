// Owns the signer of a unit that has no CA yet, or no more. Must not know the gate.
#pragma once

#include <string>

#include "firmware/task/task.h"

namespace keyward::signer {

// Returns at once where there is an issuer chain and the unit was not zeroised. Else the task says
// "unprovisioned", refuses every request of its peers, and ends as soon as what was missing is there,
// so that a new start reads everything. `chain_path`: the configured issuer_chain.
void wait_until_provisioned(task::Task& task, const std::string& state_dir,
                            const std::string& chain_path);

}  // namespace keyward::signer
