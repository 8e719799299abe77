#include "tests/support/task_process/task_process.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "firmware/wire/messages/control_metrics.h"
#include "firmware/wire/messages/control_ready.h"
#include "firmware/wire/messages/control_state.h"
#include "firmware/wire/messages/control_stop.h"

namespace keyward::test {
namespace {

constexpr std::int64_t kSendMs = 5'000;
constexpr std::int64_t kPollMs = 5;

}  // namespace

std::string executable(const std::string& name) {
  const char* folder = ::getenv("KEYWARD_BIN");
  return (folder != nullptr ? std::string(folder) : std::string(".")) + "/" + name;
}

std::string log_text(const std::string& log_path) {
  std::ifstream file(log_path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TaskProcess::~TaskProcess() { kill_now(); }

bool TaskProcess::start(const std::string& name, wire::TaskId task, const std::string& config_toml,
                        const std::vector<wire::PeerEnd>& peers, const std::string& log_path) {
  kill_now();
  ready_ = false;
  states_.clear();
  ends_.clear();
  auto control = task::make_channel();
  if (!control) return false;
  std::vector<UniqueFd> theirs;
  std::vector<int> numbers;
  for (const auto& peer : peers) {
    auto pair = task::make_channel();
    if (!pair) return false;
    ends_[peer.task] = std::move(pair->first);
    theirs.push_back(std::move(pair->second));
    numbers.push_back(theirs.back().get());
  }
  const auto path = executable(name);
  const int their_control = control->second.get();
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) return false;
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
    if (!log_path.empty()) {
      const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      if (log >= 0) ::dup2(log, STDERR_FILENO);
    }
    // dup2 onto itself would keep close-on-exec; going over a high number avoids that.
    const int high = ::fcntl(their_control, F_DUPFD, 100);
    ::dup2(high, 3);
    ::close(high);
    ::execl(path.c_str(), path.c_str(), nullptr);
    ::_exit(127);
  }
  control_ = std::move(control->first);
  const auto frame = wire::encode_frame(0, wire::ControlStart{task, config_toml, peers});
  return task::send_frame(control_.get(), frame, numbers, Deadline::after_ms(kSendMs)).has_value();
}

bool TaskProcess::next_control(Deadline deadline) {
  const auto readable = task::wait_readable(control_.get(), deadline.remaining_ms());
  if (!readable || !*readable) return !deadline.passed();
  const auto frame = task::receive_frame(control_.get(), 0);
  if (!frame) return false;
  const auto opened = wire::open_frame(frame->bytes);
  if (!opened) return false;
  if (opened->head.type == wire::MessageType::kControlReady) ready_ = true;
  if (opened->head.type == wire::MessageType::kControlState) {
    if (const auto state = wire::decode_body<wire::ControlState>(opened->body))
      states_.push_back(state->state);
  }
  if (opened->head.type == wire::MessageType::kControlMetrics) {
    const auto report = wire::decode_body<wire::ControlMetrics>(opened->body);
    if (report) metrics_.clear();
    for (std::size_t i = 0; report && i < report->samples.size(); ++i)
      metrics_[{report->samples[i].name, report->samples[i].labels}] = report->samples[i].value;
  }
  return true;
}

bool TaskProcess::wait_ready(std::int64_t timeout_ms) {
  const auto deadline = Deadline::after_ms(timeout_ms);
  while (!ready_) {
    if (!next_control(deadline)) return false;
  }
  return true;
}

std::int64_t TaskProcess::wait_metric(const std::string& name, const std::string& labels,
                                      std::int64_t at_least, std::int64_t timeout_ms) {
  const auto deadline = Deadline::after_ms(timeout_ms);
  while (true) {
    const auto found = metrics_.find({name, labels});
    if (found != metrics_.end() && found->second >= at_least) return found->second;
    if (!next_control(deadline)) return -1;
  }
}

bool TaskProcess::wait_state(const std::string& state, std::int64_t timeout_ms) {
  const auto deadline = Deadline::after_ms(timeout_ms);
  while (std::find(states_.begin(), states_.end(), state) == states_.end()) {
    if (!next_control(deadline)) return false;
  }
  return true;
}

void TaskProcess::take_control() {
  while (true) {
    const auto readable = task::wait_readable(control_.get(), 0);
    if (!readable || !*readable || !next_control(Deadline::after_ms(kSendMs))) return;
  }
}

void TaskProcess::send_stop() {
  const auto frame = wire::encode_frame(0, wire::ControlStop{});
  static_cast<void>(task::send_frame(control_.get(), frame, {}, Deadline::after_ms(kSendMs)));
}

int TaskProcess::wait_exit(std::int64_t timeout_ms) {
  if (pid_ < 0) return -1001;
  const auto deadline = Deadline::after_ms(timeout_ms);
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (deadline.passed()) return -1000;
    std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void TaskProcess::kill_now() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace keyward::test
