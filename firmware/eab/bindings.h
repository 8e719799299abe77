// Owns the record of which account key was admitted by which credential: an append-only file with
// one JSON object a line, each on disk before anything is promised. Must not know keys of
// credentials, nor the signer.
//
// A torn last line (power cut) is cut off: nothing was promised for it. Errors: kCorrupt (a line
// before the last does not read; its number is in `native`), kUnavailable, kExhausted. Threads: one
// at a time.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "hal/base/bytes.h"
#include "hal/base/result.h"
#include "hal/base/unique_fd.h"

namespace keyward::eab {

class Bindings {
 public:
  static Result<Bindings> open(const std::string& path);
  // Content of such a file, for reading alone: beside a running task.
  static Result<Bindings> parse(ByteView content);

  bool holds(std::string_view kid, const Digest256& thumbprint) const;
  std::size_t accounts_of(std::string_view kid) const;  // keys ever admitted by it
  bool is_revoked(std::string_view kid) const;          // by this task, for excess
  Status add(std::string_view kid, const Digest256& thumbprint, std::int64_t now_ms);
  Status revoke(std::string_view kid, std::int64_t now_ms);
  // Each key with the credential that admitted it last.
  const std::map<Digest256, std::string>& all() const { return kid_of_; }

 private:
  explicit Bindings(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<std::size_t> read(ByteView content);  // octets of a torn line at the end
  Status take_line(std::string_view line);
  Status append_line(std::string_view line);
  void put(std::string_view kid, const Digest256& thumbprint);

  UniqueFd fd_;
  std::size_t whole_bytes_ = 0;  // of the file: whole lines
  std::size_t lines_ = 0;
  std::map<Digest256, std::string> kid_of_;
  std::map<std::string, std::set<Digest256>, std::less<>> keys_of_;
  std::set<std::string, std::less<>> revoked_;
};

}  // namespace keyward::eab
