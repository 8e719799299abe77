// Owns a real task executable under test: the test is its supervisor and all its peers. Must not
// know what the task does. Threads: one, except the Peers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

#include "firmware/task/channel.h"
#include "firmware/task/peer.h"
#include "firmware/wire/messages/control_start.h"

namespace keyward::test {

// Where the executables under test are (KEYWARD_BIN).
std::string executable(const std::string& name);

class TaskProcess {
 public:
  TaskProcess() = default;
  ~TaskProcess();  // kills it if it still runs
  TaskProcess(const TaskProcess&) = delete;
  TaskProcess& operator=(const TaskProcess&) = delete;

  // `peers`: the task's own ends, as its peer table has them; the test's ends are taken by fd_of().
  // Standard error goes to `log_path`, or to the test's own if empty. False if it could not be
  // started.
  bool start(const std::string& name, wire::TaskId task, const std::string& config_toml,
             const std::vector<wire::PeerEnd>& peers, const std::string& log_path = "");
  // Reads control frames until ready (true) or the end of the process or the deadline (false).
  bool wait_ready(std::int64_t timeout_ms = 20'000);
  // The test's end of an edge; once each.
  UniqueFd take(wire::TaskId peer) { return std::move(ends_.at(peer)); }
  // Waits for a control-state frame of this name.
  bool wait_state(const std::string& state, std::int64_t timeout_ms = 20'000);
  // Waits for a report of metrics that has this series at this value or more; the value, or -1.
  std::int64_t wait_metric(const std::string& name, const std::string& labels,
                           std::int64_t at_least, std::int64_t timeout_ms = 30'000);
  // Takes what the task has told its supervisor. In a long test: a task whose supervisor does not read
  // ends.
  void take_control();
  void send_stop();
  // Exit status, or -signal, or -1000 at the deadline.
  int wait_exit(std::int64_t timeout_ms = 20'000);
  void kill_now();  // SIGKILL, and waits
  pid_t pid() const { return pid_; }

 private:
  bool next_control(Deadline deadline);
  UniqueFd control_;
  std::map<wire::TaskId, UniqueFd> ends_;
  std::vector<std::string> states_;
  std::map<std::pair<std::string, std::string>, std::int64_t> metrics_;  // the newest report's
  bool ready_ = false;
  pid_t pid_ = -1;
};

// Standard error of a task, once it has ended.
std::string log_text(const std::string& log_path);

}  // namespace keyward::test
