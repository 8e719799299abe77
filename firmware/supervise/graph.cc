#include "firmware/supervise/graph.h"

#include <algorithm>
#include <set>

#include "firmware/config/config.h"
#include "firmware/wire/names.h"
#include "hal/base/limits.h"

namespace keyward::supervise {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::size_t kMessagesPerEdgeMax = 64;

class Reader {
 public:
  explicit Reader(config::Document document) : document_(std::move(document)) {}

  GraphResult read() {
    auto root = document_.root();
    root.integer("format", 1, 1);
    for (auto& section : root.tables("task")) read_task(section);
    for (auto& section : root.tables("edge")) read_edge(section);
    out_.problems = document_.finish();  // syntax, types, unknown keys come first
    if (out_.problems.empty()) check();
    for (auto& problem : own_problems_) out_.problems.push_back(std::move(problem));
    return std::move(out_);
  }

 private:
  void complain(std::string what) { own_problems_.push_back(std::move(what)); }

  void read_task(config::Section& s) {
    TaskSpec task;
    task.name = s.string("name");
    const auto id = wire::task_from(task.name);
    if (!id || *id == wire::TaskId::kSupervisor)
      complain("task '" + task.name + "' is not a task of this product");
    task.id = id.value_or(wire::TaskId::kSupervisor);
    task.rank = static_cast<int>(s.integer("rank", 1, 99));
    task.executable = s.string("executable");
    if (task.executable.empty() || task.executable.find('/') != std::string::npos) {
      complain("task '" + task.name + "': executable must be a file name without a folder");
    }
    task.uid_offset = static_cast<unsigned>(s.integer("uid_offset", 1, 999));
    task.sections = s.strings_or_empty("sections", 8);
    task.optional = s.boolean_or("optional", false);
    task.sees_run_dir = s.boolean_or("sees_run_dir", false);
    task.reads_spool = s.boolean_or("reads_spool", false);
    task.restart.max = static_cast<int>(s.integer("restart.max", 1, 1000));
    task.restart.window_ms = s.integer("restart.window_s", 1, 3600) * 1000;
    task.restart.backoff_min_ms = s.integer("restart.backoff_min_ms", 1, kHourMs);
    task.restart.backoff_max_ms = s.integer("restart.backoff_max_ms", 1, kHourMs);
    if (task.restart.backoff_max_ms < task.restart.backoff_min_ms) {
      complain("task '" + task.name + "': backoff_max_ms is less than backoff_min_ms");
    }
    task.silence_ms = s.integer("silence_ms", 2'000, kHourMs);  // a task speaks once a second
    task.start_ms = s.integer("start_ms", 100, kHourMs);
    task.stop_ms = s.integer("stop_ms", 100, kHourMs);
    task.files_max = static_cast<unsigned>(s.integer("files_max", 16, 65'536));
    task.threads_max = static_cast<unsigned>(s.integer("threads_max", 1, 65'536));
    out_.graph.tasks.push_back(std::move(task));
  }

  void read_edge(config::Section& s) {
    EdgeSpec edge;
    const std::string from = s.string("from");
    const std::string to = s.string("to");
    const std::string label = "edge " + from + " -> " + to;
    const auto from_id = wire::task_from(from);
    const auto to_id = wire::task_from(to);
    if (!from_id || !to_id) complain(label + ": no such task");
    edge.from = from_id.value_or(wire::TaskId::kSupervisor);
    edge.to = to_id.value_or(wire::TaskId::kSupervisor);
    for (const auto& name : s.strings_or_empty("messages", kMessagesPerEdgeMax)) {
      const auto type = wire::message_type_from(name);
      if (!type) {
        complain(label + ": unknown message '" + name + "'");
      } else if ((static_cast<unsigned>(*type) & 1U) != 0 ||
                 static_cast<unsigned>(*type) < 0x0100) {
        // Replies are odd, control messages below 0x0100 (firmware/wire/types.h).
        complain(label + ": '" + name + "' is not a request between tasks");
      } else if (std::ranges::find(edge.messages, *type) != edge.messages.end()) {
        complain(label + ": '" + name + "' stands twice");
      } else {
        edge.messages.push_back(*type);
      }
    }
    if (edge.messages.empty()) complain(label + ": no messages");
    out_.graph.edges.push_back(std::move(edge));
  }

  void check() {
    const Graph& graph = out_.graph;
    if (graph.tasks.empty()) complain("there is no task");
    if (graph.tasks.size() > static_cast<std::size_t>(limits::kTasksMax))
      complain("too many tasks");
    std::set<wire::TaskId> ids;
    std::set<unsigned> uids;
    for (const auto& task : graph.tasks) {
      if (!ids.insert(task.id).second) complain("task '" + task.name + "' stands twice");
      if (!uids.insert(task.uid_offset).second)
        complain("task '" + task.name + "': uid_offset is another task's");
    }
    std::set<std::pair<wire::TaskId, wire::TaskId>> pairs;
    for (const auto& edge : graph.edges) check_edge(graph, edge, pairs);
  }

  // Strictly rising ranks exclude every cycle, hence every deadlock of calls (DESIGN §1).
  void check_edge(const Graph& graph, const EdgeSpec& edge,
                  std::set<std::pair<wire::TaskId, wire::TaskId>>& pairs) {
    const std::string label = "edge " + std::string(wire::to_string(edge.from)) + " -> " +
                              std::string(wire::to_string(edge.to));
    const auto* from = graph.find(edge.from);
    const auto* to = graph.find(edge.to);
    if (from == nullptr || to == nullptr) {
      complain(label + ": a task without a [[task]]");
      return;
    }
    if (from->rank >= to->rank) complain(label + ": is not uphill");
    if (!pairs.emplace(edge.from, edge.to).second) complain(label + ": stands twice");
  }

  config::Document document_;
  GraphResult out_;
  std::vector<std::string> own_problems_;
};

}  // namespace

std::int64_t backoff_ms(const RestartBudget& budget, int recent) {
  std::int64_t wait = budget.backoff_min_ms;
  for (int i = 1; i < recent && wait < budget.backoff_max_ms; ++i) wait *= 2;
  return std::min(wait, budget.backoff_max_ms);
}

const TaskSpec* Graph::find(wire::TaskId id) const {
  const auto found = std::ranges::find(tasks, id, &TaskSpec::id);
  return found == tasks.end() ? nullptr : &*found;
}

void Graph::leave_out(wire::TaskId id) {
  std::erase_if(tasks, [id](const auto& task) { return task.id == id; });
  std::erase_if(edges, [id](const auto& edge) { return edge.from == id || edge.to == id; });
}

std::vector<int> Graph::ranks() const {
  std::set<int> out;
  for (const auto& task : tasks) out.insert(task.rank);
  return {out.begin(), out.end()};
}

GraphResult parse_graph(std::string_view toml, const std::string& name) {
  return Reader(config::Document::parse(toml, name)).read();
}

GraphResult load_graph(const std::string& path) {
  return Reader(config::Document::load(path)).read();
}

}  // namespace keyward::supervise
