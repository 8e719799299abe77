// Owns what a task process loses before it runs: descriptors, environment, limits, user id,
// privileges, dangerous system calls. Must not know which task it is.
//
// Not here yet: allow lists of system calls and of files for each task (seccomp profile, Landlock).
// What stands is a deny list, the same for all tasks. Source: DESIGN §1; field notes on kernels.
#pragma once

#include <string>
#include <vector>

#include "hal/base/result.h"

namespace keyward::sandbox {

struct Profile {
  unsigned files_max = 256;
  unsigned threads_max = 64;  // applied only with a user id of its own: the kernel counts by user
  bool own_uid = false;
  unsigned uid = 0;  // also the group id; no passwd entry is needed
};

// The part between fork and exec, in the child of a single-threaded parent. Descriptor 3 becomes
// `control_fd`, 2 becomes `stderr_fd`, 0 and 1 /dev/null, all others close at exec.
// kInternal with errno: the child must exit; nothing is given up silently.
Status enter_child(const Profile& profile, int control_fd, int stderr_fd);

// Kills the task with its parent; undone by a change of user id, thus last. kUnavailable: the
// parent is gone.
Status die_with_parent(int parent_pid);

// The deny list: calls return EPERM. Needs no_new_privs, which enter_child sets.
Status deny_dangerous_calls();

// Names of the calls in the deny list, for a test and for the documentation.
std::vector<std::string> denied_calls();

}  // namespace keyward::sandbox
