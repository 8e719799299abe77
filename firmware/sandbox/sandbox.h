// Owns what a task process loses before it runs: descriptors, environment, limits, user id,
// privileges, dangerous system calls. Must not know which task it is.
//
// Before exec: this file (with landlock.h, network.h) and a deny list that is the same for all
// tasks. After exec: the task's own allow list (confine.h). Source: DESIGN §1; docs/isolation.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "firmware/sandbox/landlock.h"
#include "hal/base/result.h"

namespace keyward::sandbox {

struct Profile {
  unsigned files_max = 256;
  unsigned threads_max = 64;  // applied only with a user id of its own: the kernel counts by user
  bool own_uid = false;
  unsigned uid = 0;                // also the group id; no passwd entry is needed
  bool network = true;             // false: an empty network name space, if one can be had
  std::optional<FileRules> files;  // absent: no file rules
};

// The part between fork and exec, in the child of a single-threaded parent. Descriptor 3 becomes
// `control_fd`, 2 becomes `stderr_fd`, 0 and 1 /dev/null, all others close at exec.
// kInternal with errno: the child must exit; nothing is given up silently.
// `layers`, if given: the names (confine.h) of the layers that took effect, with a space between.
Status enter_child(const Profile& profile, int control_fd, int stderr_fd,
                   std::string* layers = nullptr);

// Kills the task with its parent; undone by a change of user id, thus last. kUnavailable: the
// parent is gone.
Status die_with_parent(int parent_pid);

// The deny list: calls return EPERM. Needs no_new_privs, which enter_child sets.
Status deny_dangerous_calls();

// Names of the calls in the deny list, for a test and for the documentation.
std::vector<std::string> denied_calls();

}  // namespace keyward::sandbox
