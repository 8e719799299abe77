#include "firmware/supervise/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/json/json.h"
#include "hal/base/unique_fd.h"

namespace keyward::supervise {

std::string_view to_string(TaskPhase phase) {
  switch (phase) {
    case TaskPhase::kStarting:
      return "starting";
    case TaskPhase::kReady:
      return "ready";
    case TaskPhase::kWaiting:
      return "waiting";
    case TaskPhase::kFailed:
      return "failed";
    case TaskPhase::kStopping:
      return "stopping";
    case TaskPhase::kStopped:
      return "stopped";
  }
  return "unknown";
}

std::string overall_state(const ApplianceStatus& status) {
  if (status.stopping) return "stopping";
  bool degraded = false;
  bool starting = false;
  bool locked = false;
  bool failed = false;
  for (const auto& task : status.tasks) {
    if (task.phase == TaskPhase::kReady && task.state == "unprovisioned") return "unprovisioned";
    if (task.phase == TaskPhase::kReady && (task.state == "locked" || task.state == "tampered"))
      locked = true;
    if (task.phase == TaskPhase::kFailed) failed = true;
    if (task.phase == TaskPhase::kStarting && task.restarts == 0) starting = true;
    if (task.phase != TaskPhase::kReady && task.phase != TaskPhase::kStarting) degraded = true;
    if (task.phase == TaskPhase::kStarting && task.restarts != 0) degraded = true;
    if (task.phase != TaskPhase::kReady) continue;
    if ((task.state.empty() || task.state == "starting") && task.restarts == 0) {
      starting = true;  // ready to be asked, but it has not said yet what it can do
    } else if (task.state != "operational") {
      degraded = true;
    }
  }
  if (failed) return "failed";
  if (locked) return "locked";
  if (degraded) return "degraded";
  return starting ? "starting" : "operational";
}

std::string render_status(const ApplianceStatus& status) {
  json::Writer out;
  out.begin_object();
  out.member("state", overall_state(status));
  out.member_int("supervisor_pid", status.supervisor_pid)
      .member_int("started_utc_ms", status.started_utc_ms);
  out.key("isolation").begin_array();
  for (const auto& text : status.isolation) out.string(text);
  out.end_array().key("reduced_isolation").begin_array();
  for (const auto& text : status.reduced_isolation) out.string(text);
  out.end_array().key("tasks").begin_array();
  for (const auto& task : status.tasks) {
    out.begin_object().member("name", task.name).member("phase", to_string(task.phase));
    out.member_int("pid", task.pid)
        .member_int("uid", task.uid)
        .member_int("restarts", task.restarts)
        .member_int("since_utc_ms", task.since_utc_ms);
    out.key("layers").begin_array();
    for (const auto& layer : task.layers) out.string(layer);
    out.end_array();
    out.member("state", task.state).member("detail", task.detail).end_object();
  }
  out.end_array().end_object();
  return out.take() + "\n";
}

Status replace_public_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  const UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return fail(ErrorKind::kUnavailable, "cannot write the status", errno);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fchmod(fd.get(), 0644) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    return fail(ErrorKind::kUnavailable, "cannot write the status", errno);
  }
  return {};
}

Status write_status(const std::string& path, const ApplianceStatus& status) {
  return replace_public_file(path, render_status(status));
}

}  // namespace keyward::supervise
