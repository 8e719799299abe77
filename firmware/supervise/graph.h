// Owns the process graph as data: reads tasks.toml and refuses a graph that could deadlock or that
// names what does not exist. Must not know processes.
//
// Errors are texts for an operator, all of them at once. Threads: values.
// Source: DESIGN §1 (calls go uphill only).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "firmware/wire/types.h"

namespace keyward::supervise {

struct RestartBudget {
  int max = 0;  // restarts within the window; then the task counts as failed
  std::int64_t window_ms = 0;
  std::int64_t backoff_min_ms = 0;  // doubles with each restart in the window ...
  std::int64_t backoff_max_ms = 0;  // ... up to this
};

// How long to wait before the next restart, when `recent` restarts happened within the window.
std::int64_t backoff_ms(const RestartBudget& budget, int recent);

struct TaskSpec {
  wire::TaskId id{};
  std::string name;
  int rank = 0;
  std::string executable;  // a file name, looked up in one directory
  unsigned uid_offset = 0;
  std::vector<std::string> sections;  // of the installation file, beside its own and [appliance]
  bool optional = false;              // only if the installation file has its section
  bool sees_run_dir = false;          // may read status, metrics and log
  bool reads_spool = false;           // gets the folder of the lines that are to be sent on
  RestartBudget restart;
  std::int64_t silence_ms = 0;
  std::int64_t start_ms = 0;
  std::int64_t stop_ms = 0;
  unsigned files_max = 0;
  unsigned threads_max = 0;
};

struct EdgeSpec {
  wire::TaskId from{};  // asks
  wire::TaskId to{};    // answers
  std::vector<wire::MessageType> messages;
};

struct Graph {
  std::vector<TaskSpec> tasks;
  std::vector<EdgeSpec> edges;
  const TaskSpec* find(wire::TaskId id) const;
  void leave_out(wire::TaskId id);  // and its edges
  std::vector<int> ranks() const;   // ascending, each once
};

struct GraphResult {
  Graph graph;  // to be used only if there is no problem
  std::vector<std::string> problems;
};

GraphResult parse_graph(std::string_view toml, const std::string& name);
GraphResult load_graph(const std::string& path);

}  // namespace keyward::supervise
