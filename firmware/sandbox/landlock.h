// Owns the Landlock rules of a task: which files it may touch, no TCP, no signals to others. Must
// not know tasks. Source: landlock(7); docs/isolation.md.
#pragma once

#include <string>
#include <vector>

#include "hal/base/result.h"

namespace keyward::sandbox {

struct FileRules {
  std::vector<std::string> run;    // files and folders, to read and to execute (until seccomp)
  std::vector<std::string> read;   // files and folders, whole
  std::vector<std::string> write;  // the same, to read, change, make and remove
  bool tcp = false;                // may bind and connect (kernels with ABI 4 and later)
};

inline constexpr int kScopeAbi = 6;  // from here on also no signals to others

// The kernel's ABI version; 0: none, or switched off.
int landlock_abi();

// For this thread and what it starts, for good; needs no_new_privs. Paths that do not exist are
// skipped. Returns the ABI that took effect. kUnavailable: the kernel has none.
Result<int> restrict_files(const FileRules& rules);

}  // namespace keyward::sandbox
