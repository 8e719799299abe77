// Owns what a board adds to the tasks' sandboxes, as data: reads sandbox.toml. Must not know how it
// is enforced. Source: DESIGN §3; docs/isolation.md.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace keyward::supervise {

struct SandboxAddition {
  std::vector<std::string> read;   // absolute paths
  std::vector<std::string> write;  // the same; devices too
  std::vector<std::string> calls;  // system calls beside the task's own
  bool network = false;
};

struct BoardSandbox {
  std::vector<std::string> require;  // layers (firmware/sandbox/confine.h) without which no start
  std::map<std::string, SandboxAddition, std::less<>> tasks;

  const SandboxAddition& of(std::string_view task) const;
  bool network(std::string_view task) const;  // the task's own rule or the board's
  // `[sandbox]` as the task reads it (firmware/task).
  std::string section(std::string_view task) const;
};

struct BoardSandboxResult {
  BoardSandbox sandbox;  // to be used only if there is no problem
  std::vector<std::string> problems;
};

BoardSandboxResult parse_board_sandbox(std::string_view toml, const std::string& name);
BoardSandboxResult load_board_sandbox(const std::string& path);

}  // namespace keyward::supervise
