// Owns the start of one task process: fork, sandbox, exec, and the handle to wait for it. Must not
// know messages. The caller is single-threaded.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "firmware/sandbox/sandbox.h"
#include "hal/base/unique_fd.h"

namespace keyward::supervise {

struct Process {
  pid_t pid = -1;
  UniqueFd pidfd;    // readable when it has ended
  UniqueFd control;  // our end, non-blocking
  UniqueFd output;   // read end of its standard error, non-blocking
};

struct Launch {
  std::string executable;                // absolute path
  std::string name;                      // argv[0]
  std::vector<std::string> environment;  // all of it
  sandbox::Profile profile;
};

// kUnavailable / kExhausted: the kernel refused. An exec that fails shows as exit code 127 with a
// line on the task's standard error.
Result<Process> launch(const Launch& launch);

// How it ended, for an operator: "exit 0", "signal 9 (Killed)". `exit_code` is -1 after a signal.
struct Ending {
  int exit_code = -1;
  int signal = 0;
  std::string text() const;
};
Ending reap(const Process& process);
void send_signal(const Process& process, int signal);

}  // namespace keyward::supervise
