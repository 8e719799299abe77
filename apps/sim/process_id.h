// Owns naming a process across commands: a process id counts only with the start time that the
// kernel knows, so that a stale file can never hit a stranger. Must not know which process.
#pragma once

#include <cstdint>
#include <string>

#include "hal/base/clock.h"
#include "hal/base/result.h"
#include "hal/base/unique_fd.h"

namespace keyward::simulator {

struct ProcessId {
  int pid = 0;
  std::uint64_t start_ticks = 0;  // /proc/PID/stat field 22
};

Result<ProcessId> identify(int pid);
Status write_process_id(const std::string& path, const ProcessId& id);
Result<ProcessId> read_process_id(const std::string& path);

// A descriptor of that very process; kUnavailable: it is gone (or the id is another's now).
Result<UniqueFd> open_process(const ProcessId& id);
Status signal_process(const UniqueFd& pidfd, int signal);
bool wait_ended(const UniqueFd& pidfd, Deadline deadline);

}  // namespace keyward::simulator
