// Owns the validation task's peer table: who may send what, and whom it asks.
#pragma once

#include <span>

#include "firmware/task/task.h"

namespace keyward::validation {

std::span<const task::PeerRule> peers();

}  // namespace keyward::validation
