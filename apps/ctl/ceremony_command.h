// Owns the command line of `keywardctl ceremony`. Must not know what a ceremony is.
#pragma once

#include "apps/ctl/ceremony_run.h"
#include "apps/ctl/ceremony_simulator.h"

namespace CLI {
class App;
}

namespace keyward::ctl {

class CeremonyCommand {
 public:
  explicit CeremonyCommand(CLI::App& app);
  bool parsed() const;
  int run() const;

 private:
  bool simulator_ = false;
  CeremonyOptions simulated_;
  CeremonyRunOptions options_;
  CeremonyReadOptions read_;
  CLI::App* command_;
  CLI::App* run_;
  CLI::App* verify_;
  CLI::App* transcript_;
};

}  // namespace keyward::ctl
