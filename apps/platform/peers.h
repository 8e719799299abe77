// Owns the platform task's peer table: who may send what.
#pragma once

#include <span>

#include "firmware/task/task.h"

namespace keyward::platform {

std::span<const task::PeerRule> peers();

}  // namespace keyward::platform
