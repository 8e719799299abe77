// Owns `keywardctl zeroise`, `factory-reset` and `destruction verify`: a unit that stands still loses its keys,
// PIN, credentials and databases, each looked for afterwards, with a certificate of it. Must not know
// PKCS#11 or how files are overwritten.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct ZeroiseOptions {
  std::string installation, yes_destroy, order, pin_file, so_pin_file, transcript;
  std::string certificate, key, passphrase_file, operators;
  std::vector<std::string> also;
  bool ledger = false, keep_hsm_keys = false, json = false;
};

class ZeroiseCommand {
 public:
  explicit ZeroiseCommand(CLI::App& app);
  bool parsed() const;
  // 0 everything is gone; 1 something is left, or not permitted (named); 64 not confirmed, the unit runs, or
  // an option is wrong; 78 a file is wrong. verify: 2 the certificate does not hold.
  int run() const;

 private:
  ZeroiseOptions options_;
  CLI::App *zeroise_, *reset_, *destruction_, *verify_;
};

}  // namespace keyward::ctl
