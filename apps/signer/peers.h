// Owns the signer's peer table: who may assert what to the heart of the CA (DESIGN §2.1). A message
// that is allowed on one socket is fatal on the other.
#pragma once

#include <span>

#include "firmware/task/task.h"

namespace keyward::signer {

std::span<const task::PeerRule> peers();

}  // namespace keyward::signer
