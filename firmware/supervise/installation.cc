#include "firmware/supervise/installation.h"

#include "firmware/config/config.h"
#include "hal/base/limits.h"

namespace keyward::supervise {
namespace {

// Between Debian's globally allocated users and its reserved range (Debian Policy §9.2.2).
constexpr std::int64_t kUidBaseDefault = 63'100;
constexpr std::size_t kEnvironmentMax = 32;
constexpr std::size_t kZeroiseAlsoMax = 32;

// As a TOML basic string.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

bool has_control_character(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

std::string absolute_directory(config::Section& s, const char* key,
                               std::vector<std::string>& problems) {
  std::string path = s.string(key);
  if (!path.empty() && (path[0] != '/' || has_control_character(path))) {
    problems.push_back(std::string("'supervisor.") + key + "' must be an absolute path");
  }
  return path;
}

InstallationResult read(config::Document document, const Graph& graph) {
  InstallationResult out;
  std::vector<std::string> own_problems;
  auto& in = out.installation;
  auto root = document.root();
  auto s = root.table("supervisor");
  in.run_dir = absolute_directory(s, "run_dir", own_problems);
  in.state_root = absolute_directory(s, "state_root", own_problems);
  in.bin_dir = s.string_or("bin_dir", "");
  in.uid_base = static_cast<unsigned>(s.integer_or("uid_base", 1, 2'000'000'000, kUidBaseDefault));
  in.separate_uids = s.boolean_or("separate_uids", true);
  in.watchdog = s.string_or("watchdog", "");
  in.watchdog_timeout_s = static_cast<int>(s.integer_or("watchdog_timeout_s", 3, 600, 30));
  in.zeroise_also = s.strings_or_empty("zeroise_also", kZeroiseAlsoMax);
  for (const auto& path : in.zeroise_also) {
    if (path.empty() || path[0] != '/' || has_control_character(path))
      own_problems.emplace_back("'supervisor.zeroise_also' must hold absolute paths");
  }
  const std::string sandbox = s.string_or("sandbox", "");
  if (!sandbox.empty()) {
    auto loaded = load_board_sandbox(sandbox);
    in.sandbox = std::move(loaded.sandbox);
    own_problems.insert(own_problems.end(), loaded.problems.begin(), loaded.problems.end());
  }
  in.spool_bytes_max = static_cast<std::uint64_t>(s.integer_or("spool_mib", 1, limits::kSpoolMibMax,
                                                               limits::kSpoolMibDefault))
                       << 20;
  in.environment = s.strings_or_empty("environment", kEnvironmentMax);
  for (const auto& entry : in.environment) {
    if (entry.find('=') == std::string::npos || entry[0] == '=' || has_control_character(entry)) {
      own_problems.emplace_back("'supervisor.environment' must hold NAME=VALUE texts");
    }
  }
  for (const auto& task : graph.tasks) {
    if (task.optional && !root.has(task.name)) {
      in.left_out.push_back(task.id);
      continue;
    }
    // toml++ writes plain keys before tables, so that our own key must stand first.
    std::string text = "state_dir = " + quoted(in.state_root + "/" + task.name) + "\n";
    if (task.sees_run_dir) text += "run_dir = " + quoted(in.run_dir) + "\n";
    if (task.sees_run_dir && root.table(task.name).has("run_dir")) {
      own_problems.push_back("'" + task.name + ".run_dir' is the supervisor's to choose");
    }
    if (task.reads_spool) text += "spool_dir = " + quoted(in.state_root + "/spool") + "\n";
    if (task.reads_spool && root.table(task.name).has("spool_dir")) {
      own_problems.push_back("'" + task.name + ".spool_dir' is the supervisor's to choose");
    }
    if (root.table(task.name).has("state_dir")) {
      own_problems.push_back("'" + task.name + ".state_dir' is the supervisor's to choose");
    }
    text += root.table(task.name).text();
    text += root.table("appliance").text_as("appliance");
    for (const auto& section : task.sections) text += root.table(section).text_as(section);
    if (text.size() > limits::kConfigBytesMax)
      own_problems.push_back("the configuration of '" + task.name + "' is too long");
    in.task_configs[task.id] = std::move(text);
  }
  out.problems = document.finish();
  out.problems.insert(out.problems.end(), own_problems.begin(), own_problems.end());
  return out;
}

}  // namespace

InstallationResult load_installation(const std::string& path, const Graph& graph) {
  return read(config::Document::load(path), graph);
}

InstallationResult parse_installation(std::string_view toml, const std::string& name,
                                      const Graph& graph) {
  return read(config::Document::parse(toml, name), graph);
}

}  // namespace keyward::supervise
