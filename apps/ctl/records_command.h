// Owns `keywardctl accounts|orders`: what the store keeps, read beside the running unit as the store's own
// user and never written. Must not know the ledger (certificates_command.h), which decides where both
// differ.
#pragma once

#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct RecordOptions {
  std::string installation, id, status, name, account, contact, kid;
  std::int64_t after = 0;
  int limit = 50;
  bool json = false;
};

class RecordsCommand {
 public:
  explicit RecordsCommand(CLI::App& app);
  bool parsed() const;
  // 0 done; 1 no such record, or the database cannot be read; 78 the installation file is wrong.
  int run() const;

 private:
  RecordOptions options_;
  CLI::App *accounts_, *accounts_list_, *accounts_show_;
  CLI::App *orders_, *orders_list_, *orders_show_;
};

}  // namespace keyward::ctl
