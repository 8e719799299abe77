// Owns `keywardctl audit export|verify|why|accept-rollback`: words, JSON and exit codes. Must not
// know how a ledger is judged (firmware/audit).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct AuditOptions {
  std::string state;  // the signer's own, e.g. .../state/signer
  std::string file;   // the export
  std::string out;
  std::string chain;        // export: empty: the copy beside the heads
  std::string certificate;  // export: likewise, the audit key's
  std::string root;
  std::string against;        // verify: an older export
  std::string heads;          // verify: heads that were kept elsewhere
  std::int64_t counter = -1;  // verify: as the unit's TPM shows it
  std::string serial;
  std::vector<std::string> operators;
  std::string order;
  std::string reason;
  bool no_operators = false;
  bool json = false;
};

class AuditCommand {
 public:
  explicit AuditCommand(CLI::App& app);
  bool parsed() const;
  // 0 done; 1 failed (not readable, no such serial); 2 the ledger is broken; 3 whole in itself, but
  // no signed head vouches for it; 64 an option is wrong; 78 a file is wrong.
  int run() const;

 private:
  int run_export() const;
  int run_verify() const;
  int run_why() const;
  int run_accept() const;

  AuditOptions options_;
  CLI::App* command_;
  CLI::App* export_;
  CLI::App* verify_;
  CLI::App* why_;
  CLI::App* accept_;
};

}  // namespace keyward::ctl
