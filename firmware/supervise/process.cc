#include "firmware/supervise/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgot the linkage
}

#include "firmware/sandbox/confine.h"
#include "firmware/task/channel.h"

namespace keyward::supervise {
namespace {

[[noreturn]] void give_up(const char* what, std::int64_t code) {
  char line[256];
  const int size = ::snprintf(line, sizeof line, "cannot start: %s (%s)\n", what,
                              ::strerror(static_cast<int>(code)));
  [[maybe_unused]] const auto wrote = ::write(2, line, static_cast<std::size_t>(size));
  ::_exit(127);
}

// As root with a user id of its own the task may be unable to reach its executable by path (a
// checkout under a private home); the descriptor opened before still can be executed.
[[noreturn]] void run_child(const Launch& launch, int control_fd, int stderr_fd, pid_t parent) {
  const int program = ::open(launch.executable.c_str(), O_RDONLY | O_CLOEXEC);
  if (program < 0) {
    ::dup2(stderr_fd, 2);
    give_up(launch.executable.c_str(), errno);
  }
  std::string layers;
  if (const auto entered = sandbox::enter_child(launch.profile, control_fd, stderr_fd, &layers);
      !entered) {
    give_up(entered.error().what, entered.error().native);
  }
  if (const auto denied = sandbox::deny_dangerous_calls(); !denied)
    give_up(denied.error().what, -denied.error().native);
  if (const auto tied = sandbox::die_with_parent(parent); !tied) ::_exit(127);
  std::vector<char*> environment;
  for (const auto& entry : launch.environment)
    environment.push_back(const_cast<char*>(entry.c_str()));
  layers = std::string(sandbox::kLayersVariable) + "=" + layers;
  environment.push_back(layers.data());
  environment.push_back(nullptr);
  char* const arguments[] = {const_cast<char*>(launch.name.c_str()), nullptr};
  ::execve(launch.executable.c_str(), arguments, environment.data());
  if (errno == EACCES) ::fexecve(program, arguments, environment.data());
  give_up(launch.executable.c_str(), errno);
}

}  // namespace

Result<Process> launch(const Launch& launch) {
  auto channel = task::make_channel();
  if (!channel) return fail(channel.error());
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0)
    return fail(ErrorKind::kExhausted, "cannot make a pipe", errno);
  Process out;
  out.control = std::move(channel->first);
  out.output = UniqueFd(pipe_ends[0]);
  const UniqueFd stderr_end(pipe_ends[1]);
  ::fcntl(out.control.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(out.output.get(), F_SETFL, O_NONBLOCK);
  const pid_t parent = ::getpid();
  out.pid = ::fork();
  if (out.pid < 0) return fail(ErrorKind::kExhausted, "cannot fork", errno);
  if (out.pid == 0) run_child(launch, channel->second.get(), stderr_end.get(), parent);
  out.pidfd = UniqueFd(::pidfd_open(out.pid, 0));
  if (!out.pidfd) {
    const int code = errno;
    ::kill(out.pid, SIGKILL);  // our own child, not reaped yet: the id cannot be another's
    ::waitpid(out.pid, nullptr, 0);
    return fail(ErrorKind::kExhausted, "cannot open a pidfd", code);
  }
  return out;
}

std::string Ending::text() const {
  if (signal != 0) return "signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
  return "exit " + std::to_string(exit_code);
}

Ending reap(const Process& process) {
  siginfo_t info{};
  Ending out;
  while (::waitid(P_PIDFD, static_cast<id_t>(process.pidfd.get()), &info, WEXITED) != 0) {
    if (errno != EINTR) return out;
  }
  if (info.si_code == CLD_EXITED) {
    out.exit_code = info.si_status;
  } else {
    out.signal = info.si_status;
  }
  return out;
}

void send_signal(const Process& process, int signal) {
  ::pidfd_send_signal(process.pidfd.get(), signal, nullptr, 0);
}

}  // namespace keyward::supervise
