// Owns `keywardctl backup key|create|show|verify` and `keywardctl restore`: which files of a unit are in
// a backup, in which order they are taken, and where they go. Must not know the backup's format.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace keyward::ctl {

struct BackupOptions {
  std::string installation;
  std::string file;
  std::vector<std::string> recipients;  // PEM files with public keys
  std::vector<std::string> include;     // files beside the state
  bool tokens = false;
  std::string key_file;  // PEM, instead of shares
  std::vector<std::string> share_files;
  std::string out;
  std::size_t threshold = 0;
  std::vector<std::string> custodians;
  std::string certificates;  // restore: folder for them; empty: that of issuer_chain
  bool json = false;
};

class BackupCommand {
 public:
  explicit BackupCommand(CLI::App& app);
  bool parsed() const;
  // 0 done; 1 failed; 2 the backup, or what it holds, is not whole; 64 an option is wrong; 78 a file is
  // wrong.
  int run() const;

 private:
  int run_key() const;
  int run_create() const;
  int run_show() const;
  int run_verify() const;
  int run_restore() const;
  BackupOptions options_;
  CLI::App* backup_;
  CLI::App* key_;
  CLI::App* create_;
  CLI::App* show_;
  CLI::App* verify_;
  CLI::App* restore_;
};

}  // namespace keyward::ctl
