// Owns the network name space of a task that has no network. Must not know tasks.
#pragma once

#include "hal/base/result.h"

namespace keyward::sandbox {

// This process gets a network name space of its own, with nothing in it. Needs CAP_SYS_ADMIN.
// kUnavailable with errno: not allowed; nothing changed.
Status leave_network();

// The same for an ordinary user, inside a user name space that holds that one user id.
// kUnavailable: the kernel or the container does not allow it; nothing changed. kInternal: half
// done, the process must end.
Status leave_network_by_user_namespace();

}  // namespace keyward::sandbox
