// Owns what each task may do, as data: families of sockets, servers, network. Must not know how it
// is enforced, nor what a board adds (supervise/board_sandbox.h).
//
// Source: DESIGN §1, column "must never have"; docs/isolation.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keyward::sandbox {

struct TaskRules {
  std::string_view task;
  bool network = false;  // sockets of the internet, and the name space that has them
  bool serves = false;   // bind, listen, accept
  bool clock = false;    // how the kernel's clock is kept (adjtimex); to set it needs CAP_SYS_TIME
};

// Null: no such task.
const TaskRules* rules_of(std::string_view task);

// System calls of every task, of those with a network, of those that serve; and those that end the
// process. Names that the kernel or libseccomp does not know are skipped.
const std::vector<std::string_view>& common_calls();
const std::vector<std::string_view>& serving_calls();
const std::vector<std::string_view>& clock_calls();
const std::vector<std::string_view>& fatal_calls();

// What each task may read beside its own: libraries, name resolution, the kernel's description.
const std::vector<std::string_view>& readable_paths();
// Devices of each task.
const std::vector<std::string_view>& writable_paths();

}  // namespace keyward::sandbox
