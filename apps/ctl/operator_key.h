// Owns how an operator's key comes to this command: from a PEM file, with its passphrase asked for
// where it is encrypted; and `keywardctl operator-key new|show`. Must not know orders.
#pragma once

#include <string>

#include "firmware/crypto/crypto.h"

namespace CLI {
class App;
}

namespace keyward::ctl {

// `passphrase_path` empty: asked for at the terminal. Says on standard error what is wrong.
Result<crypto::PrivateKey> load_operator_key(const std::string& path,
                                             const std::string& passphrase_path);

class OperatorKeyCommand {
 public:
  explicit OperatorKeyCommand(CLI::App& app);
  bool parsed() const;
  // Exit code: 0 done, 1 failed, 64 an option is wrong, 78 a file is wrong.
  int run() const;

 private:
  int run_show() const;
  std::string path_, type_ = "p256", passphrase_path_, token_uri_;
  bool plain_ = false;
  CLI::App* command_;
  CLI::App* new_;
  CLI::App* show_;
};

}  // namespace keyward::ctl
