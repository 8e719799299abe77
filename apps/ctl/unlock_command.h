// Owns `keywardctl unlock` and `keywardctl recovery create|show`: the HSM's PIN from K custodians'
// shares, sealed anew to the unit's TPM. Must not know how shares are combined or PINs sealed.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct UnlockOptions {
  std::string installation;
  std::string slot;
  std::vector<std::string> share_files;
  std::string new_pin_file;
  bool new_pin = false;
  bool offline = false;
  int wait_s = 60;
  bool json = false;
};
struct RecoveryOptions {
  std::string unit;
  std::string pin_file;
  std::size_t threshold = 0;
  std::vector<std::string> custodians;
  std::string out;
  std::string slot;
};

class UnlockCommand {
 public:
  explicit UnlockCommand(CLI::App& app);
  bool parsed() const;
  // 0 done; 1 failed; 64 an option is wrong; 78 a file is wrong (slot, share, installation).
  int run() const;

 private:
  int run_unlock() const;
  int run_create() const;
  int run_show() const;
  UnlockOptions options_;
  RecoveryOptions recovery_;
  CLI::App* unlock_;
  CLI::App* recovery_command_;
  CLI::App* create_;
  CLI::App* show_;
};

}  // namespace keyward::ctl
