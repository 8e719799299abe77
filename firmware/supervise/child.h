// Owns the state of one supervised task: phase, deadlines, restart history. Must not know the other
// tasks.
#pragma once

#include <deque>
#include <optional>

#include "firmware/supervise/graph.h"
#include "firmware/supervise/log_file.h"
#include "firmware/supervise/process.h"
#include "firmware/supervise/status.h"

namespace keyward::supervise {

// What to do after a task ended by itself.
struct RestartDecision {
  TaskPhase phase;           // kWaiting or kFailed
  std::int64_t wait_ms = 0;  // -1: never again without an operator
};

// The restarts of one task within its window. Times are monotonic milliseconds.
class RestartHistory {
 public:
  explicit RestartHistory(const RestartBudget& budget) : budget_(budget) {}
  // kFailed with a wait of one window when the budget is used up: an unattended unit must come
  // back. `config_error`: the task said that restarting does not help.
  RestartDecision ended(std::int64_t now_ms, bool config_error);

 private:
  RestartBudget budget_;
  std::deque<std::int64_t> times_;
};

class Child {
 public:
  Child(const TaskSpec& spec, unsigned uid)
      : spec_(spec), history_(spec.restart), lines_(spec.name) {
    status_.name = spec.name;
    status_.uid = uid;
  }
  const TaskSpec& spec() const { return spec_; }
  TaskStatus& status() { return status_; }
  const TaskStatus& status() const { return status_; }
  TaskPhase phase() const { return status_.phase; }
  bool alive() const { return process_.has_value(); }
  Process& process() { return *process_; }
  LineCollector& lines() { return lines_; }
  // The next moment at which something is due: silence, start limit, restart, stop limit. Absent:
  // none.
  std::optional<std::int64_t> due_ms() const { return due_ms_; }
  std::string_view overdue() const { return overdue_; }  // why it is killed when that moment comes

  void started(Process process, std::int64_t now_ms);
  void heard(std::int64_t now_ms);  // any control frame
  void ready(std::int64_t now_ms);
  void stopping(std::int64_t now_ms);
  void control_lost(std::int64_t now_ms);  // most often its end is near: a moment's patience
  void ended(const Ending& ending, std::int64_t now_ms, bool whole_stop);
  void could_not_start(std::string_view why, std::int64_t now_ms);
  void killed() { due_ms_.reset(); }  // SIGKILL was sent: only its end is waited for

 private:
  void apply(const RestartDecision& decision, std::int64_t now_ms);
  TaskSpec spec_;
  RestartHistory history_;
  TaskStatus status_;
  std::optional<Process> process_;
  LineCollector lines_;
  std::optional<std::int64_t> due_ms_;
  std::string_view overdue_;
};

}  // namespace keyward::supervise
