// Owns `keywardctl time show|set`: the operator's word for the clock. Must not know the tasks: the
// word is a file in platform's state directory.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace keyward::ctl {

// As the platform task judges, without its TPM. `directory`: platform's own.
struct ClockJudgement {
  bool trusted = false;
  std::string level, words;
};
ClockJudgement judge_unit_clock(const std::string& directory);

class TimeCommand {
 public:
  explicit TimeCommand(CLI::App& app);
  bool parsed() const;
  // Exit code: 0 done, 1 failed, 2 (show) nothing vouches for the clock, 64 an option is wrong.
  int run() const;

 private:
  int show() const;
  int set() const;
  std::string directory_;
  std::string at_;
  bool json_ = false;
  CLI::App* command_;
  CLI::App* show_;
  CLI::App* set_;
};

}  // namespace keyward::ctl
