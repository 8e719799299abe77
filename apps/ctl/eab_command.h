// Owns `keywardctl eab add|list|revoke`: credentials of external account binding, in words and in
// JSON. Must not know how a binding is checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct EabOptions {
  std::string directory;  // attestation's own, e.g. .../state/attestation
  std::string kid;        // add: empty: one is made up
  std::vector<std::string> profiles;
  std::int64_t quota = -1;    // -1: no bound
  std::string expires;        // "2027-01-31T00:00:00Z", "30d", "12h"; empty: never
  std::int64_t accounts = 1;  // 0: any number
  std::string on_excess = "refuse";
  std::string recovers;  // id of an account
  std::string key;       // add: base64url; empty: one is made
  bool json = false;
};

class EabCommand {
 public:
  explicit EabCommand(CLI::App& app);
  bool parsed() const;
  // Exit code: 0 done, 1 failed (state not readable, kid taken or not there), 64 an option is
  // wrong, 78 the credentials file is wrong.
  int run() const;

 private:
  EabOptions options_;
  CLI::App* command_;
  CLI::App* add_;
  CLI::App* list_;
  CLI::App* revoke_;
};

int add_credential(const EabOptions& options);
int list_credentials(const EabOptions& options);
int revoke_credential(const EabOptions& options);

}  // namespace keyward::ctl
