// Owns `keywardctl order sign|cosign|show|send` and `keywardctl revoke`: orders that operators sign,
// and their way into the signer's inbox (docs/operations/orders.md). Must not know how the signer
// carries them out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct OrderOptions {
  std::string order;            // sign: which
  std::string unit, operators;  // the unit's id, or the operators file that holds it
  std::string key, passphrase_file, token_uri;
  std::string reason, lifetime = "1h";
  std::vector<std::string> serials;
  std::string refused;  // accept-rollback: what the signer noted
  std::string reason_code, thumbprint, jwk, account, policy, kid;
  std::string file, out, state;
  std::int64_t wait_s = 30;
  bool json = false;
};

class OrderCommand {
 public:
  explicit OrderCommand(CLI::App& app);
  bool parsed() const;
  // Exit code: 0 done, 1 refused or no answer, 64 an option is wrong, 78 a file is wrong.
  int run() const;

 private:
  OrderOptions options_;
  CLI::App* command_;
  CLI::App* revoke_;
  CLI::App* sign_;
  CLI::App* cosign_;
  CLI::App* show_;
  CLI::App* send_;
};

}  // namespace keyward::ctl
