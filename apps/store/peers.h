// Owns the store's peer table: who may send what. The store asks nobody.
#pragma once

#include <span>

#include "firmware/task/task.h"

namespace keyward::store {

std::span<const task::PeerRule> peers();

}  // namespace keyward::store
