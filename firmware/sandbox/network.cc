#include "firmware/sandbox/network.h"

#include <string>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "hal/base/unique_fd.h"

namespace keyward::sandbox {
namespace {

Status write_proc(const char* path, const std::string& text) {
  const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail(ErrorKind::kInternal, "cannot map the user id into a user name space", errno);
  return {};
}

}  // namespace

Status leave_network() {
  if (::unshare(CLONE_NEWNET) == 0) return {};
  return fail(ErrorKind::kUnavailable, "no network name space can be made", errno);
}

Status leave_network_by_user_namespace() {
  const unsigned uid = ::geteuid();
  const unsigned gid = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
    return fail(ErrorKind::kUnavailable, "no network name space can be made", errno);
  // A change of user id made /proc/self root's; exec and the task itself set this anew.
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  // From here on a failure is fatal to the start: an unmapped user could not read its own files.
  KEYWARD_CHECK(write_proc("/proc/self/setgroups", "deny"));
  const auto line = [](unsigned id) {
    return std::to_string(id) + " " + std::to_string(id) + " 1";
  };
  KEYWARD_CHECK(write_proc("/proc/self/uid_map", line(uid)));
  return write_proc("/proc/self/gid_map", line(gid));
}

}  // namespace keyward::sandbox
