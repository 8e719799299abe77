// Owns the destruction of what a unit keeps on its disk: overwritten, made durable, unlinked. Must not
// know what the files mean, beyond the names of the tasks' folders that stay.
//
// No symbolic link is followed. A flash disk or a copy-on-write file system may keep old blocks: the
// page docs/operations/zeroise.md says what follows from it. Threads: one; no task may run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hal/base/result.h"

namespace keyward::zeroise {

// In `<state_root>/signer` and `<state_root>/platform` of a zeroised unit: the tasks then say
// "unprovisioned". A restore or a new ceremony removes it.
inline constexpr const char* kMarkerFile = "zeroised";

struct Report {
  std::uint64_t files = 0;
  std::uint64_t octets = 0;
  std::vector<std::string> gone;    // top-level paths that are no more
  std::vector<std::string> kept;    // the ledger and its heads, unless they go too
  std::vector<std::string> failed;  // what could not be destroyed
};

struct Order {
  std::string state_root;
  std::vector<std::string> also;  // files and folders elsewhere
  bool ledger = false;            // the ledger, its heads and lists go too
  std::string cause;              // for the marker
  std::int64_t utc_ms = 0;
};

// Goes on after a failure; `failed` is empty if everything is gone. kBadInput: state_root is no
// absolute path or a system folder.
Result<Report> destroy(const Order& order);

}  // namespace keyward::zeroise
