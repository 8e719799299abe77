// Owns which authority tokens were used, until they expire (RFC 9447 §3: jti), in an append-only
// file: each on disk before it counts. Must not know what stood in a token.
//
// A token stays usable for the very use it was spent on (same account, identifier, order), so that a
// client whose answer was lost may ask again. A torn line is cut off: nothing was granted for it.
// Threads: any.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/base/unique_fd.h"

namespace keyward::attest {

class SpentTokens {
 public:
  // Rewritten without the expired ones at each opening.
  static Result<std::unique_ptr<SpentTokens>> open(const std::string& path, std::int64_t now_ms);
  // kRefused "tkauth.replayed": spent on something else. kExhausted: too many are remembered.
  Status spend(const Digest256& token_id, const Digest256& use, std::int64_t expires_ms,
               std::int64_t now_ms);

 private:
  struct Entry {
    Digest256 use{};
    std::int64_t expires_ms = 0;
  };
  explicit SpentTokens(std::string path) : path_(std::move(path)) {}
  void read(ByteView content, std::int64_t now_ms);
  Status rewrite(std::int64_t now_ms);
  Status append_entry(const Digest256& token_id, const Entry& entry);

  std::mutex mutex_;
  std::string path_;
  UniqueFd fd_;
  std::size_t bytes_ = 0;  // of whole lines in the file
  std::size_t lines_ = 0;
  std::map<Digest256, Entry> entries_;
};

}  // namespace keyward::attest
