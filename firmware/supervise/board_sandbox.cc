#include "firmware/supervise/board_sandbox.h"

#include <algorithm>

#include "firmware/config/config.h"
#include "firmware/config/toml_text.h"
#include "firmware/sandbox/confine.h"
#include "firmware/sandbox/profile_table.h"
#include "hal/base/limits.h"

namespace keyward::supervise {
namespace {

void append(std::vector<std::string>& to, const std::vector<std::string>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// Each addition says why: a list of rights without reasons only grows.
void read_addition(config::Section& s, BoardSandboxResult& out) {
  const std::string task = s.string("task");
  if (s.string("why").empty())
    out.problems.push_back("an addition of '" + task + "' has no reason");
  if (!task.empty() && sandbox::rules_of(task) == nullptr)
    out.problems.push_back("'" + task + "' is no task");
  const auto read = s.strings_or_empty("read", limits::kSandboxListMax);
  const auto write = s.strings_or_empty("write", limits::kSandboxListMax);
  const auto calls = s.strings_or_empty("calls", limits::kSandboxListMax);
  for (const auto* list : {&read, &write}) {
    for (const auto& path : *list) {
      if (path.empty() || path[0] != '/' || path == "/")
        out.problems.push_back("'" + path + "' is no absolute path below /");
    }
  }
  for (const auto& call : calls) {
    if (std::ranges::find(sandbox::fatal_calls(), call) != sandbox::fatal_calls().end())
      out.problems.push_back("'" + call + "' is on the kill list");
  }
  auto& addition = out.sandbox.tasks[task];
  append(addition.read, read);
  append(addition.write, write);
  append(addition.calls, calls);
  addition.network = addition.network || s.boolean_or("network", false);
}

BoardSandboxResult read(config::Document document) {
  BoardSandboxResult out;
  auto root = document.root();
  (void)root.integer("format", 1, 1);
  out.sandbox.require = root.strings_or_empty("require", limits::kLayersMax);
  for (const auto& layer : out.sandbox.require) {
    if (std::ranges::find(sandbox::kLayers, layer) == std::end(sandbox::kLayers))
      out.problems.push_back("'" + layer + "' is no layer of isolation");
  }
  for (auto& section : root.tables("allow")) read_addition(section, out);
  const auto syntax = document.finish();
  out.problems.insert(out.problems.begin(), syntax.begin(), syntax.end());
  return out;
}

}  // namespace

const SandboxAddition& BoardSandbox::of(std::string_view task) const {
  static const SandboxAddition none;
  const auto found = tasks.find(task);
  return found == tasks.end() ? none : found->second;
}

bool BoardSandbox::network(std::string_view task) const {
  const auto* rules = sandbox::rules_of(task);
  return rules == nullptr || rules->network || of(task).network;
}

std::string BoardSandbox::section(std::string_view task) const {
  // A task with a network keeps it: that layer cannot be required of it.
  std::vector<std::string> wanted = require;
  if (network(task)) std::erase(wanted, sandbox::kLayerNetwork);
  return "\n[sandbox]\nallow_list = true\nnetwork = " +
         std::string(of(task).network ? "true" : "false") +
         "\ncalls = " + config::quoted_list(of(task).calls) +
         "\nrequire = " + config::quoted_list(wanted) + "\n";
}

BoardSandboxResult parse_board_sandbox(std::string_view toml, const std::string& name) {
  return read(config::Document::parse(toml, name));
}

BoardSandboxResult load_board_sandbox(const std::string& path) {
  return read(config::Document::load(path));
}

}  // namespace keyward::supervise
