// Owns the running simulator: the process that holds the folder's lock, the TPM and the supervisor,
// and ends them in order. Must not know how a folder is made.
#pragma once

#include "apps/sim/places.h"
#include "hal/base/unique_fd.h"

namespace keyward::simulator {

// The folder's lock: whoever runs or changes the simulator holds it. kRefused: another does.
Result<UniqueFd> take_lock(const Places& places);
bool is_running(const Places& places);

// Runs until SIGTERM or SIGINT, or until the supervisor ends by itself. Returns the exit code: 0
// after an orderly end. Single-threaded. If this process is killed, the kernel ends TPM, supervisor
// and tasks.
int keep(const Places& places, bool foreground);

}  // namespace keyward::simulator
