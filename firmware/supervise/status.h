// Owns what an operator sees of the process graph: status.json. Must not know processes or sockets.
#pragma once

#include <string>
#include <vector>

#include "firmware/wire/types.h"
#include "hal/base/result.h"

namespace keyward::supervise {

enum class TaskPhase : std::uint8_t {
  kStarting = 1,
  kReady = 2,
  kWaiting = 3,
  kFailed = 4,
  kStopping = 5,
  kStopped = 6
};
std::string_view to_string(TaskPhase phase);  // "starting", "ready", "waiting", "failed", ...

struct TaskStatus {
  std::string name;
  TaskPhase phase = TaskPhase::kStopped;
  int pid = 0;  // 0: none
  unsigned uid = 0;
  std::int64_t restarts = 0;      // since the supervisor started
  std::int64_t since_utc_ms = 0;  // when phase or state became what they are
  std::string state;  // as the task reports itself: "operational", "degraded", "locked"; "" before
  std::vector<std::string> layers;  // of isolation that took effect, as the task reports
  std::string detail;               // the task's words, or why it is down
};

struct ApplianceStatus {
  int supervisor_pid = 0;
  std::int64_t started_utc_ms = 0;
  std::vector<std::string> isolation;          // what holds for every task
  std::vector<std::string> reduced_isolation;  // what this start could not give, in words
  std::vector<TaskStatus> tasks;
  bool stopping = false;
};

// "operational": every task is ready and none reports less; "starting"; "degraded": something is
// missing and comes back by itself; "locked": the HSM's PIN is not given; "failed": a task needs an
// operator; "unprovisioned": no CA is here yet, or no more; "stopping". The worst one is said.
std::string overall_state(const ApplianceStatus& status);
std::string render_status(const ApplianceStatus& status);
// Replaces `path` by rename. Not fsynced: it describes running processes and means nothing after a
// power cut.
Status replace_public_file(const std::string& path, const std::string& text);
Status write_status(const std::string& path, const ApplianceStatus& status);

}  // namespace keyward::supervise
