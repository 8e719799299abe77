#include "firmware/sandbox/sandbox.h"

#include <algorithm>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/sandbox/confine.h"
#include "firmware/sandbox/network.h"

namespace keyward::sandbox {
namespace {

// Nothing a task does needs these; each has widened an attack in the past or reaches beyond the
// process. Names unknown to the kernel's or libseccomp's version are skipped.
constexpr const char* kDenied[] = {
    // other processes' memory and control
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "pidfd_getfd",
    "process_madvise",
    // name spaces and mounts
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "unshare",
    "setns",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsmount",
    "fsconfig",
    "fspick",
    "mount_setattr",
    "open_by_handle_at",
    "name_to_handle_at",
    // the kernel itself
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "add_key",
    "request_key",
    "keyctl",
    "lookup_dcookie",
    "acct",
    "quotactl",
    "syslog",
    "vhangup",
    "iopl",
    "ioperm",
    "modify_ldt",
    // the machine: power, swap, names, clock
    "reboot",
    "swapon",
    "swapoff",
    "sethostname",
    "setdomainname",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
};

Status set_limit(int resource, rlim_t value) {
  const rlimit limit{value, value};
  if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    return fail(ErrorKind::kInternal, "cannot set a resource limit", errno);
  }
  return {};
}

Status set_limits(const Profile& profile) {
  KEYWARD_CHECK(set_limit(RLIMIT_CORE, 0));  // a core file would hold the PIN
  rlimit now{};
  ::getrlimit(RLIMIT_NOFILE, &now);
  KEYWARD_CHECK(set_limit(RLIMIT_NOFILE, std::min<rlim_t>(profile.files_max, now.rlim_max)));
  if (profile.own_uid) KEYWARD_CHECK(set_limit(RLIMIT_NPROC, profile.threads_max));
  return {};
}

Status set_descriptors(int control_fd, int stderr_fd) {
  const int null_fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null_fd < 0) return fail(ErrorKind::kInternal, "cannot open /dev/null", errno);
  // The parent's descriptors are all above 3 (it keeps 0..3 taken), so that no dup2 hits a source.
  if (control_fd <= 3 || stderr_fd <= 3 || null_fd <= 3) {
    return fail(ErrorKind::kInternal, "descriptors 0 to 3 must be taken before a task is started");
  }
  if (::dup2(null_fd, 0) < 0 || ::dup2(null_fd, 1) < 0 || ::dup2(stderr_fd, 2) < 0 ||
      ::dup2(control_fd, 3) < 0) {
    return fail(ErrorKind::kInternal, "cannot place descriptors", errno);
  }
  if (::close_range(4, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
    return fail(ErrorKind::kInternal, "close_range failed", errno);
  return {};
}

Status drop_user(const Profile& profile) {
  if (!profile.own_uid) return {};
  if (::setgroups(0, nullptr) != 0 || ::setresgid(profile.uid, profile.uid, profile.uid) != 0 ||
      ::setresuid(profile.uid, profile.uid, profile.uid) != 0) {
    return fail(ErrorKind::kInternal, "cannot change the user id", errno);
  }
  if (::setuid(0) == 0) return fail(ErrorKind::kInternal, "the user id could be taken back");
  return {};
}

void note(std::string* layers, std::string_view layer) {
  if (layers == nullptr) return;
  if (!layers->empty()) *layers += ' ';
  *layers += layer;
}

// A plain name space first: it needs privileges that are gone with the user id. The other way
// makes a user name space, which knows one user id alone, thus after the change.
Status change_identity(const Profile& profile, std::string* layers) {
  const bool left = !profile.network && leave_network();
  KEYWARD_CHECK(drop_user(profile));
  if (profile.own_uid) note(layers, kLayerUid);
  if (profile.network) return {};
  if (!left) {
    const auto alone = leave_network_by_user_namespace();
    if (!alone && alone.error().kind == ErrorKind::kUnavailable) return {};
    if (!alone) return fail(alone.error());
  }
  note(layers, kLayerNetwork);
  return {};
}

Status restrict(const Profile& profile, std::string* layers) {
  if (!profile.files) return {};
  const auto abi = restrict_files(*profile.files);
  if (!abi && abi.error().kind == ErrorKind::kUnavailable) return {};
  if (!abi) return fail(abi.error());
  note(layers, kLayerLandlock);
  if (*abi >= kScopeAbi) note(layers, kLayerScope);
  return {};
}

}  // namespace

Status enter_child(const Profile& profile, int control_fd, int stderr_fd, std::string* layers) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::umask(077);
  if (::chdir("/") != 0) return fail(ErrorKind::kInternal, "cannot change to /", errno);
  KEYWARD_CHECK(set_descriptors(control_fd, stderr_fd));
  KEYWARD_CHECK(set_limits(profile));
  KEYWARD_CHECK(change_identity(profile, layers));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail(ErrorKind::kInternal, "cannot set no_new_privs", errno);
  return restrict(profile, layers);
}

Status die_with_parent(int parent_pid) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
    return fail(ErrorKind::kInternal, "cannot set the parent-death signal", errno);
  if (::getppid() != parent_pid) return fail(ErrorKind::kUnavailable, "the supervisor is gone");
  return {};
}

Status deny_dangerous_calls() {
  const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
  if (filter == nullptr) return fail(ErrorKind::kInternal, "cannot make a system call filter");
  int code = 0;
  for (const char* name : kDenied) {
    const int number = ::seccomp_syscall_resolve_name(name);
    if (number < 0) continue;
    code = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
    if (code != 0) break;
  }
  if (code == 0) code = ::seccomp_load(filter);
  ::seccomp_release(filter);
  if (code != 0) return fail(ErrorKind::kInternal, "cannot load the system call filter", code);
  return {};
}

std::vector<std::string> denied_calls() {
  std::vector<std::string> out;
  for (const char* name : kDenied) {
    if (::seccomp_syscall_resolve_name(name) >= 0) out.emplace_back(name);
  }
  return out;
}

}  // namespace keyward::sandbox
