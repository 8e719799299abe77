// Owns the reading of a process's size. Must not know any test.
#include "tests/support/memory/memory.h"

#include <cstdio>
#include <fstream>
#include <string>

#include "firmware/sandbox/confine.h"

namespace keyward::test {

long resident_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    long kib = 0;
    if (word == "VmRSS:" && status >> kib) return kib;
  }
  return -1;
}

bool memory_is_the_sanitizers() {
  const bool yes = sandbox::sanitizer_build();
  if (yes) std::puts("SKIPPED LOUDLY: bounds on memory, because a sanitizer is in this build");
  return yes;
}

}  // namespace keyward::test
