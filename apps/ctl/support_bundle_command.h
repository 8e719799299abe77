// Owns `keywardctl support-bundle`: one archive for who shall help, without secrets. Must not know what a
// secret looks like (scrub.h).
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace keyward::ctl {

class SupportBundleCommand {
 public:
  explicit SupportBundleCommand(CLI::App& app);
  bool parsed() const;
  // 0 written; 1 not; 78 the installation file is wrong.
  int run() const;

 private:
  std::string installation_, out_;
  int log_kib_ = 2'048;
  bool json_ = false;
  CLI::App* command_;
};

}  // namespace keyward::ctl
