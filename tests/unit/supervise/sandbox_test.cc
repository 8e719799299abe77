// Proves, in a child process, that what the sandbox says is lost is lost.
#include "firmware/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keyward::sandbox {
namespace {

// Runs `body` in a child that entered the sandbox; its return value is the exit code.
template <class Body>
int in_sandbox(const Profile& profile, Body body) {
  while (true) {  // 0 to 3 are taken, as the supervisor keeps them
    const int fd = ::open("/dev/null", O_RDWR);
    if (fd > 3) {
      ::close(fd);
      break;
    }
  }
  const int control = ::fcntl(1, F_DUPFD_CLOEXEC, 10);
  const int errors = ::fcntl(2, F_DUPFD_CLOEXEC, 10);
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (!enter_child(profile, control, errors) || !deny_dangerous_calls()) ::_exit(99);
    ::_exit(body());
  }
  ::close(control);
  ::close(errors);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(Sandbox_DeniedCalls, ReturnEperm) {
  EXPECT_THAT(denied_calls(),
              testing::IsSupersetOf({"ptrace", "mount", "kexec_load", "bpf", "unshare", "reboot"}));
  EXPECT_EQ(in_sandbox({},
                       [] {
                         if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != -1 || errno != EPERM)
                           return 1;
                         if (::unshare(CLONE_NEWUSER) != -1 || errno != EPERM) return 2;
                         if (::mount("none", "/tmp", "tmpfs", 0, nullptr) != -1 || errno != EPERM)
                           return 3;
                         return 0;
                       }),
            0);
}

TEST(Sandbox_Entered, HasLimitsAndNoNewPrivileges) {
  Profile profile;
  profile.files_max = 33;
  EXPECT_EQ(in_sandbox(profile,
                       [] {
                         rlimit limit{};
                         ::getrlimit(RLIMIT_CORE, &limit);
                         if (limit.rlim_max != 0) return 1;
                         ::getrlimit(RLIMIT_NOFILE, &limit);
                         if (limit.rlim_max != 33) return 2;
                         if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 3;
                         if (::umask(0) != 077) return 4;
                         char cwd[8] = {};
                         if (::getcwd(cwd, sizeof cwd) == nullptr || cwd[0] != '/' || cwd[1] != 0)
                           return 5;
                         if ((::fcntl(10, F_GETFD) & FD_CLOEXEC) == 0) return 6;
                         return 0;
                       }),
            0);
}

TEST(Sandbox_OwnUid, CannotGoBack) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Profile profile;
  profile.own_uid = true;
  profile.uid = 63'999;
  EXPECT_EQ(
      in_sandbox(profile,
                 [] {
                   if (::getuid() != 63'999 || ::getgid() != 63'999 || ::getgroups(0, nullptr) != 0)
                     return 1;
                   return ::setuid(0) == 0 ? 2 : 0;
                 }),
      0);
}

TEST(Sandbox_ParentGone, IsNoticed) {
  EXPECT_EQ(in_sandbox({}, [] { return die_with_parent(1'999'999'999) ? 1 : 0; }), 0);
}

}  // namespace
}  // namespace keyward::sandbox
