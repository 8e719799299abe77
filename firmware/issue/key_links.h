// Owns which account key followed which (RFC 8555 §7.3.5), durably. Must not know accounts, nor how
// a change is asked for (key_change.h).
//
// A key that was replaced stands for nothing any more; what was proved for it is its successor's.
// Each key has at most one successor and one predecessor, and a key that was ever part of a change
// is never a successor again: so there are no loops, and no key gathers what two others proved.
// A failed write is not known to be absent from the disk: until the next start the change did not
// happen. Threads: any.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "firmware/issue/digest_hash.h"
#include "firmware/issue/state_file.h"
#include "firmware/issue/verdict.h"
#include "hal/base/bytes.h"

namespace keyward::issue {

class KeyLinks {
 public:
  struct Caps {
    std::size_t links_max = limits::kKeyLinksMax;
    std::size_t earlier_max = limits::kEarlierKeysMax;  // of one account
  };
  static Result<std::unique_ptr<KeyLinks>> open(const std::string& path) {
    return open(path, Caps{});
  }
  static Result<std::unique_ptr<KeyLinks>> open(const std::string& path, const Caps& caps);

  // Durable when it returns. The same change again is carried out already: nothing is written. A
  // caller that lost the answer asks again. "key-replaced" (`from` has another successor),
  // "key-already-linked", "key-change-same", "key-change-limit", "key-links-full",
  // "key-change-not-recorded".
  Verdict<void> link(const Digest256& from, const Digest256& to, std::int64_t now_ms);

  // Whether link() would be carried out, or was: its codes.
  Verdict<void> can_link(const Digest256& from, const Digest256& to) const;

  bool is_replaced(const Digest256& thumbprint) const;
  // The key itself first, then its earlier ones, newest first.
  std::vector<Digest256> with_earlier(const Digest256& thumbprint) const;
  // The key that followed last; itself, if none did.
  Digest256 newest(const Digest256& thumbprint) const;
  // The oldest of these: the same for all keys of an account.
  Digest256 origin(const Digest256& thumbprint) const;
  std::size_t size() const;

 private:
  explicit KeyLinks(const Caps& caps) : caps_(caps) {}
  Status take(ByteView row);
  Verdict<bool> check(const Digest256& from, const Digest256& to) const;  // true: done already
  std::vector<Digest256> walk(const Digest256& thumbprint) const;         // mutex_ held

  Caps caps_;
  std::unique_ptr<StateFile> file_;
  std::mutex change_mutex_;  // one change at a time; readers do not wait for the disk
  mutable std::mutex mutex_;
  std::unordered_map<Digest256, Digest256, RandomOctetsHash> next_;
  std::unordered_map<Digest256, Digest256, RandomOctetsHash> previous_;
};

}  // namespace keyward::issue
