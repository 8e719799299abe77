#include "apps/sim/process_id.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgot the linkage
}

#include <sstream>

#include "firmware/config/config.h"
#include "hal/base/file.h"

namespace keyward::simulator {

Result<ProcessId> identify(int pid) {
  const auto stat = read_text_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!stat) return fail(ErrorKind::kUnavailable, "no such process");
  // The command's name may hold anything; fields are counted from the last parenthesis (proc(5)).
  const auto close = stat->rfind(')');
  if (close == std::string::npos)
    return fail(ErrorKind::kInternal, "/proc/PID/stat has another form");
  std::istringstream fields(stat->substr(close + 1));
  std::string word;
  for (int field = 3; field <= 22; ++field) fields >> word;
  return ProcessId{pid, std::strtoull(word.c_str(), nullptr, 10)};
}

Status write_process_id(const std::string& path, const ProcessId& id) {
  return replace_file(path,
                      view_of("pid = " + std::to_string(id.pid) +
                              "\nstart_ticks = " + std::to_string(id.start_ticks) + "\n"),
                      0644);
}

Result<ProcessId> read_process_id(const std::string& path) {
  if (!file_exists(path)) return fail(ErrorKind::kUnavailable, "not started");
  auto document = config::Document::load(path);
  auto root = document.root();
  ProcessId out;
  out.pid = static_cast<int>(root.integer("pid", 1, 1 << 30));
  out.start_ticks = static_cast<std::uint64_t>(root.integer("start_ticks", 0, INT64_MAX));
  if (!document.finish().empty())
    return fail(ErrorKind::kCorrupt, "a process file is not readable");
  return out;
}

Result<UniqueFd> open_process(const ProcessId& id) {
  UniqueFd fd(::pidfd_open(id.pid, 0));
  if (!fd) return fail(ErrorKind::kUnavailable, "the process is gone", errno);
  // After the descriptor: from here on the id cannot change hands behind our back.
  const auto now = identify(id.pid);
  if (!now || now->start_ticks != id.start_ticks)
    return fail(ErrorKind::kUnavailable, "the process is gone");
  return fd;
}

Status signal_process(const UniqueFd& pidfd, int signal) {
  if (::pidfd_send_signal(pidfd.get(), signal, nullptr, 0) != 0)
    return fail(ErrorKind::kUnavailable, "cannot signal the process", errno);
  return {};
}

bool wait_ended(const UniqueFd& pidfd, Deadline deadline) {
  pollfd entry{pidfd.get(), POLLIN, 0};
  while (true) {
    const int got = ::poll(&entry, 1, static_cast<int>(deadline.remaining_ms()));
    if (got > 0) return true;
    if (got == 0) return false;
    if (errno != EINTR) return false;
  }
}

}  // namespace keyward::simulator
