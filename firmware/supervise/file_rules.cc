#include "firmware/supervise/file_rules.h"

#include <algorithm>
#include <filesystem>

#include "firmware/sandbox/profile_table.h"
#include "hal/base/limits.h"

namespace keyward::supervise {
namespace {

constexpr std::string_view kTooWide[] = {"/",        "/etc", "/tmp",  "/var",  "/var/tmp",
                                         "/var/lib", "/run", "/home", "/root", "/dev",
                                         "/srv",     "/opt", "/mnt",  "/media"};

bool is_below(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

// Where the states of all tasks are below, or a state of another: no folder to open.
bool holds_others(const std::string& folder, const std::string& state_root,
                  const std::string& own_state) {
  if (is_below(folder, own_state)) return false;
  return is_below(state_root, folder) || is_below(folder, state_root);
}

void add_named(const std::string& path, const std::string& state_root, const std::string& own_state,
               std::vector<std::string>& out) {
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(path, error).string();
  const std::string name = error ? path : real;
  const bool folder = std::filesystem::is_directory(name, error);
  if (!folder) out.push_back(name);
  if (folder && !is_below(state_root, name)) {
    out.push_back(name);
    return;
  }
  const std::string parent = std::filesystem::path(name).parent_path().string();
  if (std::ranges::find(kTooWide, parent) != std::end(kTooWide)) return;
  if (!holds_others(parent, state_root, own_state)) out.push_back(parent);
}

}  // namespace

std::vector<std::string> named_paths(std::string_view toml) {
  std::vector<std::string> out;
  for (std::size_t at = 0; out.size() < limits::kSandboxListMax;) {
    const auto open = toml.find_first_of("\"'", at);
    if (open == std::string_view::npos) break;
    const auto close = toml.find(toml[open], open + 1);
    if (close == std::string_view::npos) break;
    std::string_view text = toml.substr(open + 1, close - open - 1);
    at = close + 1;
    if (const auto equals = text.find("=/"); !text.starts_with('/') && equals != text.npos)
      text.remove_prefix(equals + 1);
    if (text.size() > 1 && text[0] == '/') out.emplace_back(text);
  }
  return out;
}

sandbox::FileRules file_rules(const Installation& installation, const std::string& task,
                              const std::string& executable, std::string_view config) {
  sandbox::FileRules out;
  const std::string own_state = installation.state_root + "/" + task;
  const auto& board = installation.sandbox.of(task);
  out.run = {executable, "/usr/lib", "/lib", "/lib64"};
  for (const auto path : sandbox::readable_paths()) out.read.emplace_back(path);
  out.read.insert(out.read.end(), board.read.begin(), board.read.end());
  std::string texts(config);
  for (const auto& entry : installation.environment) texts += "\"" + entry + "\"";
  for (const auto& path : named_paths(texts))
    add_named(path, installation.state_root, own_state, out.read);
  for (const auto path : sandbox::writable_paths()) out.write.emplace_back(path);
  out.write.insert(out.write.end(), board.write.begin(), board.write.end());
  out.write.push_back(own_state);
  out.tcp = installation.sandbox.network(task);
  return out;
}

}  // namespace keyward::supervise
