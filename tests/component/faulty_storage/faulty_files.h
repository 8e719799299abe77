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

#include <gtest/gtest.h>

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

// One life after the other, the nth call of which fails, until a life has fewer calls than that; how many lives
// there were. `Life` has run(kind, nth, from_the_start) and reached().
template <class Life>
std::uint64_t every_nth(FaultKind kind, bool from_the_start, std::uint64_t step,
                        std::uint64_t most) {
  std::uint64_t lives = 0;
  for (std::uint64_t nth = 1; nth < most; nth += step) {
    SCOPED_TRACE(std::string(name_of(kind)) + " at call " + std::to_string(nth));
    Life life;
    life.run(kind, nth, from_the_start);
    if (testing::Test::HasFailure()) {
      ADD_FAILURE() << FaultyFiles::where();
      return lives;
    }
    if (!life.reached()) return lives;
    ++lives;
  }
  ADD_FAILURE() << "no end";
  return lives;
}

}  // namespace keyward::test
