// Owns `keywardctl certificates list|show`: which certificates stand in the signer's ledger, by what an
// operator asks for. The ledger, not the store, says what was issued and revoked. Must not write to it.
#pragma once

#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct CertificateOptions {
  std::string installation, serial, name, profile, account, kid;
  std::int64_t before_row = 0;  // 0: from the newest
  int expiring_days = -1;
  int limit = 50;
  bool revoked = false, valid = false, json = false;
};

class CertificatesCommand {
 public:
  explicit CertificatesCommand(CLI::App& app);
  bool parsed() const;
  // 0 done; 1 no such certificate, or the ledger cannot be read; 2 it is broken; 78 the installation
  // file is wrong.
  int run() const;

 private:
  int list() const;
  CertificateOptions options_;
  CLI::App *command_, *list_, *show_;
};

}  // namespace keyward::ctl
