#include "firmware/supervise/child.h"

#include "firmware/task/task.h"

namespace keyward::supervise {
namespace {

constexpr std::int64_t kEndAfterControlMs = 1'000;

}  // namespace

RestartDecision RestartHistory::ended(std::int64_t now_ms, bool config_error) {
  if (config_error) return {TaskPhase::kFailed, -1};
  while (!times_.empty() && now_ms - times_.front() >= budget_.window_ms) times_.pop_front();
  if (times_.size() >= static_cast<std::size_t>(budget_.max)) {
    times_.clear();
    return {TaskPhase::kFailed, budget_.window_ms};
  }
  times_.push_back(now_ms);
  return {TaskPhase::kWaiting, backoff_ms(budget_, static_cast<int>(times_.size()))};
}

void Child::started(Process process, std::int64_t now_ms) {
  process_ = std::move(process);
  status_.phase = TaskPhase::kStarting;
  status_.pid = process_->pid;
  status_.state.clear();
  status_.layers.clear();
  status_.detail.clear();
  due_ms_ = now_ms + spec_.start_ms;
  overdue_ = "it did not become ready in time";
}

void Child::heard(std::int64_t now_ms) {
  if (status_.phase == TaskPhase::kReady && due_ms_) due_ms_ = now_ms + spec_.silence_ms;
}

void Child::ready(std::int64_t now_ms) {
  if (status_.phase != TaskPhase::kStarting || !due_ms_) return;
  status_.phase = TaskPhase::kReady;
  due_ms_ = now_ms + spec_.silence_ms;
  overdue_ = "it was silent for too long";
}

void Child::stopping(std::int64_t now_ms) {
  status_.phase = TaskPhase::kStopping;
  due_ms_ = now_ms + spec_.stop_ms;
  overdue_ = "it did not stop in time";
}

void Child::control_lost(std::int64_t now_ms) {
  process_->control.reset();
  if (status_.phase == TaskPhase::kStopping || !due_ms_) return;
  due_ms_ = now_ms + kEndAfterControlMs;
  overdue_ = "it closed its control socket and goes on";
}

void Child::ended(const Ending& ending, std::int64_t now_ms, bool whole_stop) {
  process_.reset();
  status_.pid = 0;
  status_.state.clear();
  status_.detail = ending.text();
  due_ms_.reset();
  if (whole_stop) {
    status_.phase = TaskPhase::kStopped;
    return;
  }
  const bool config_error = ending.exit_code == task::kExitConfig;
  if (config_error) status_.detail = "the configuration is wrong; the log says what";
  apply(history_.ended(now_ms, config_error), now_ms);
}

void Child::could_not_start(std::string_view why, std::int64_t now_ms) {
  status_.detail = why;
  apply(history_.ended(now_ms, false), now_ms);
}

void Child::apply(const RestartDecision& decision, std::int64_t now_ms) {
  status_.phase = decision.phase;
  if (decision.wait_ms >= 0) {
    due_ms_ = now_ms + decision.wait_ms;
  } else {
    due_ms_.reset();
  }
}

}  // namespace keyward::supervise
