// Owns `keywardctl policy check|show`: words, JSON and exit codes. Must not know what is wider or
// narrower (firmware/issue/policy_compare.h).
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace keyward::ctl {

class PolicyCommand {
 public:
  explicit PolicyCommand(CLI::App& app);
  bool parsed() const;
  // Exit code: 0 same or narrower, 2 wider, 78 a file is wrong.
  int run() const;

 private:
  int run_check() const;
  int run_show() const;
  std::string file_, against_;
  bool json_ = false;
  CLI::App* command_;
  CLI::App* check_;
  CLI::App* show_;
};

}  // namespace keyward::ctl
