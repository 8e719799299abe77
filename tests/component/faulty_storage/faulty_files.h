// Owns the failing of file calls: the C library's own calls of this program, seen on their way. Must
// not know what the files mean.
//
// Below the armed folder every call that changes a file or a name, or asks for it to be on the disk,
// is counted; the nth fails as it is told, without having been made. The calls are replaced by
// symbols of this program, so the product is linked as it is, SQLite included (as in the simulation,
// docs/adr/0018-simulation.md, which cuts the power and has every call succeed). Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keyward::test {

enum class FaultKind {
  kInputOutput,  // EIO, once
  kNoSpace,      // ENOSPC, once
  kShortWrite,   // half of a write arrives; every later write finds no space
  kDiskGone,     // EIO, from then on
};
inline constexpr FaultKind kFaultKinds[] = {FaultKind::kInputOutput, FaultKind::kNoSpace,
                                            FaultKind::kShortWrite, FaultKind::kDiskGone};
std::string_view name_of(FaultKind kind);

class FaultyFiles {
 public:
  // `nth` 1 is the next call; 0: none fails, all are counted.
  static void arm(const std::string& folder, FaultKind kind, std::uint64_t nth);
  static void disarm();
  static std::uint64_t calls();  // since arm
  static bool happened();        // the nth was reached
  static std::string where();    // which call it was, and of which file
};

}  // namespace keyward::test
