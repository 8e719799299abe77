// Owns the signer's peer table: who may assert what to the heart of the CA (DESIGN §2.1). A message
// that is allowed on one socket is fatal on the other.
#pragma once

#include <span>

#include "firmware/task/task.h"
#include "hal/base/limits.h"

namespace keyward::signer {

// Issuances that wait for the disk or the HSM at a time; the threads for acme beyond these mint tickets.
inline constexpr int kIssuancesAtOnceMax = 6 * limits::kIssueJobThreads;

std::span<const task::PeerRule> peers();

}  // namespace keyward::signer
