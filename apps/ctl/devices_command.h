// Owns `keywardctl devices import|list|show|expect|quarantine|retire|remove`: the operator's list of
// devices, in words and in JSON. Must not know the task.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct DevicesOptions {
  std::string directory;  // attestation's own, e.g. .../state/attestation
  std::string file;       // import: CSV
  std::string id;
  std::string state;  // list: only these; empty: all
  bool dry_run = false;
  bool json = false;
};

class DevicesCommand {
 public:
  explicit DevicesCommand(CLI::App& app);
  bool parsed() const;
  // Exit code: 0 done, 1 failed (state not readable, no such device), 78 the CSV or the list is
  // wrong.
  int run() const;

 private:
  DevicesOptions options_;
  CLI::App* command_;
  CLI::App *import_, *list_, *show_, *expect_, *quarantine_, *retire_, *remove_;
};

}  // namespace keyward::ctl
