// Owns the reading of the installation file (keyward.toml) as far as the supervisor is concerned:
// its own section, and which text each task gets. Must not know what a task's keys mean.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "firmware/supervise/board_sandbox.h"
#include "firmware/supervise/graph.h"

namespace keyward::supervise {

struct Installation {
  std::string run_dir;        // status.json, log; absolute
  std::string state_root;     // <state_root>/<task> is that task's own directory; absolute
  std::string bin_dir;        // where the executables are; empty: beside the supervisor's own
  unsigned uid_base = 0;      // as root, a task runs as uid_base + uid_offset
  bool separate_uids = true;  // false: all tasks keep the supervisor's uid (said in the status)
  std::uint64_t spool_bytes_max = 0;  // of <state_root>/spool, if a task reads it
  std::string watchdog;               // board data; empty: none
  int watchdog_timeout_s = 0;
  std::vector<std::string> zeroise_also;  // beside the state, destroyed with it; absolute paths
  BoardSandbox sandbox;  // from the board's sandbox.toml (key `sandbox`); else empty
  std::vector<std::string> environment;  // NAME=VALUE, what tasks get beside the built-in few
  std::vector<wire::TaskId> left_out;    // optional tasks without a section
  std::map<wire::TaskId, std::string> task_configs;  // TOML as ControlStart carries it
};

struct InstallationResult {
  Installation installation;  // to be used only if there is no problem
  std::vector<std::string> problems;
};

InstallationResult load_installation(const std::string& path, const Graph& graph);
InstallationResult parse_installation(std::string_view toml, const std::string& name,
                                      const Graph& graph);

}  // namespace keyward::supervise
