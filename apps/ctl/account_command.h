// Owns `keywardctl account show|revoke|rekey`: a request to the running acme task, and its answer in
// words and in JSON. Must not know how it is carried out.
#pragma once

#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct AccountOptions {
  std::string directory;   // acme's own, e.g. .../state/acme
  std::string account;     // its URL, or the last part of it
  std::string jwk_path;    // rekey: file with the new public key as JWK
  std::string order_path;  // revoke, rekey: the operators' signed order
  std::int64_t wait_s = 30;
  bool json = false;
};

class AccountCommand {
 public:
  explicit AccountCommand(CLI::App& app);
  bool parsed() const;
  // Exit code: 0 done, 1 refused or no answer in time, 64 an option is wrong, 78 a file is wrong.
  int run() const;

 private:
  AccountOptions options_;
  CLI::App* command_;
  CLI::App* show_;
  CLI::App* revoke_;
  CLI::App* rekey_;
};

}  // namespace keyward::ctl
