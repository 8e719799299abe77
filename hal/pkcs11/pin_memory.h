// Owns the memory of refused PINs: salted scrypt digests, in memory and (if a path is given) on
// disk. Must not know tokens. Why: three wrong PINs lock most tokens, and a service that restarts
// would use them up by itself. Threads: one at a time.
#pragma once

#include <string>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::hal::pkcs11 {

class PinMemory {
 public:
  // A file that cannot be read as ours makes every PIN count as refused: an operator must look at
  // it (and deletes it once the right PIN is known).
  explicit PinMemory(std::string path);
  bool is_refused(const SecretBytes& pin) const;
  // The digest is on disk before this returns; failing that it is remembered in memory alone.
  Status remember(const SecretBytes& pin);

 private:
  struct Entry {
    Bytes salt;
    Bytes digest;
  };
  Status read();
  std::string path_;
  std::vector<Entry> entries_;
  bool unreadable_ = false;
};

}  // namespace keyward::hal::pkcs11
