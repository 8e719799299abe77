// Owns writing a POSIX ustar archive (IEEE Std 1003.1, pax interchange format's base) of small files, for
// any tar to read. Must not know what is in it. docs/adr/0024-ustar.md says why there is no library.
#pragma once

#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace keyward::ctl {

class TarFile {
 public:
  // `name`: relative, at most 100 octets; kBadInput otherwise. Mode 0600.
  Status add(const std::string& name, std::string_view content, std::int64_t utc_ms);
  // The archive with its end. Call once.
  std::string take();

 private:
  std::string text_;
};

}  // namespace keyward::ctl
