// Owns what is said about keywardctl's command line elsewhere than in --help: shell completion and manual
// pages, both made from the CLI11 tree that parses, so that neither can say what is not there. Must not
// know any command. Threads: one.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace keyward::ctl {

enum class Shell { kBash, kZsh, kFish };
// A script for the shell to read; `app` is the whole tree.
std::string completion_script(const CLI::App& app, Shell shell);

// File name ("keywardctl.1", "keywardctl-audit.1") and page in roff (man(7)), one for the program and one
// for each of its commands.
std::vector<std::pair<std::string, std::string>> manual_pages(const CLI::App& app);

class CompletionCommand {
 public:
  explicit CompletionCommand(CLI::App& app);
  bool parsed() const;
  int run() const;

 private:
  const CLI::App& root_;
  std::string shell_;
  CLI::App* command_;
};

class ManCommand {
 public:
  explicit ManCommand(CLI::App& app);
  bool parsed() const;
  // 0 printed or written; 1 there is no such page, or it cannot be written.
  int run() const;

 private:
  const CLI::App& root_;
  std::string page_, folder_;
  CLI::App* command_;
};

}  // namespace keyward::ctl
