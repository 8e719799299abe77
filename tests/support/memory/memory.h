// Owns how a test measures the size of a process. Must not know any test.
#pragma once

#include <sys/types.h>

namespace keyward::test {

// What of the process is in memory, KiB (VmRSS of proc(5)); -1: there is no such process.
long resident_kib(pid_t pid);

// True, and said loudly, where bounds on memory say nothing: a sanitizer keeps shadow memory and,
// for a while, what was freed, so that a size is the sanitizer's.
bool memory_is_the_sanitizers();

}  // namespace keyward::test
