#include "apps/sim/run_program.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hal/base/unique_fd.h"

namespace keyward::simulator {

Result<int> run_program(const std::vector<std::string>& arguments, const std::string& output_path) {
  const UniqueFd output(
      ::open(output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!output) return fail(ErrorKind::kUnavailable, "cannot open a log", errno);
  std::vector<char*> list;
  for (const auto& argument : arguments) list.push_back(const_cast<char*>(argument.c_str()));
  list.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return fail(ErrorKind::kExhausted, "cannot fork", errno);
  if (pid == 0) {
    ::dup2(output.get(), 1);
    ::dup2(output.get(), 2);
    ::execv(list[0], list.data());
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace keyward::simulator
