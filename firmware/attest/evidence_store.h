// Owns what is kept of evidence where a profile asks for more than a digest: the octets, in a file
// named by their SHA-256, until their time is over (device-attest-10 §8, D-D14). Must not know what
// the octets mean.
//
// A file's modification time is when it ends. Nothing is removed early to make room: over a bound
// the next is not kept. Errors: kUnavailable, kExhausted. Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "hal/base/bytes.h"
#include "hal/base/result.h"

namespace keyward::attest {

class EvidenceStore {
 public:
  using DaysOfProfile = std::map<std::string, std::int64_t, std::less<>>;
  // Makes `folder` if it is missing, also when no profile keeps anything: what is there ends all the
  // same.
  static Result<std::unique_ptr<EvidenceStore>> open(const std::string& folder, DaysOfProfile days,
                                                     std::int64_t now_ms);
  // False: this profile keeps digests alone. The same octets again: the later end counts.
  Result<bool> keep(std::string_view profile, ByteView evidence, std::int64_t now_ms);
  void sweep(std::int64_t now_ms);

 private:
  struct Kept {
    std::int64_t ends_s = 0;
    std::size_t bytes = 0;
  };
  EvidenceStore(std::string folder, DaysOfProfile days)
      : folder_(std::move(folder)), days_(std::move(days)) {}
  Status read_folder();
  void sweep_locked(std::int64_t now_ms);

  std::mutex mutex_;
  std::string folder_;
  DaysOfProfile days_;
  std::map<std::string, Kept> kept_;  // by name
  std::size_t bytes_ = 0;
};

}  // namespace keyward::attest
