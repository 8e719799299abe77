// Owns the lines of admin's peer table. Must not know what the messages do.
#pragma once

#include "firmware/task/task.h"

namespace keyward::manage {

std::span<const task::PeerRule> peers();

}  // namespace keyward::manage
