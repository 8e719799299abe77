// Owns the search for secrets where none may stand: in logs, status, metrics, outputs, whatever a
// support engineer is shown. Must not know tasks.
//
// A secret is searched for as it is, in hexadecimal (either case), in base64 and base64url (at each of
// the three places where it can begin in a longer text). Threads: one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hal/base/bytes.h"

namespace keyward::test {

class SecretScan {
 public:
  static constexpr std::size_t kOctetsMin = 8;  // shorter ones are found by chance

  // Too short ones are left out.
  void add(const std::string& name, ByteView secret);
  // The secrets that lie in a simulator's folder: PINs, private keys (PEM, JWK, raw), MAC keys of
  // credentials. Answers how many.
  std::size_t gather(const std::string& simulator_dir);

  // Findings, a line each; never the secret itself.
  std::vector<std::string> in_text(std::string_view where, std::string_view text) const;
  std::vector<std::string> in_folder(const std::string& folder) const;
  // Command line and environment.
  std::vector<std::string> in_process(int pid) const;
  std::size_t size() const { return secrets_.size(); }
  std::size_t files_read() const { return files_read_; }

 private:
  struct Secret {
    std::string name;
    std::vector<std::pair<const char*, std::string>> forms;
  };
  std::vector<Secret> secrets_;
  mutable std::size_t files_read_ = 0;
};

}  // namespace keyward::test
