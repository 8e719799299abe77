// Owns `keywardctl status`: how the unit is, for an operator who looks. Must not know how to find out
// why (diagnose).
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace keyward::ctl {

class StatusCommand {
 public:
  explicit StatusCommand(CLI::App& app);
  bool parsed() const;
  // 0 operational; 2 degraded, starting, or worse; 78 the installation file is wrong.
  int run() const;

 private:
  int show() const;
  std::string installation_;
  bool json_ = false;
  int watch_s_ = 0;
  CLI::App* command_;
};

}  // namespace keyward::ctl
