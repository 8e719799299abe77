#include "firmware/sandbox/profile_table.h"

namespace keyward::sandbox {
namespace {

constexpr TaskRules kRules[] = {
    {"acme", true, true},     {"validation", true, true},  // a resolver binds source ports
    {"admin", true, true},                                 // the management port
    {"syslog", true, false},                               // one connection out
    {"store", false, false},  {"attestation", false, false},
    {"signer", false, false}, {"platform", false, false, true},
};

}  // namespace

const TaskRules* rules_of(std::string_view task) {
  for (const auto& rules : kRules) {
    if (rules.task == task) return &rules;
  }
  return nullptr;
}

// Wide where a call reaches nothing but the process itself and what Landlock bounds: a list that
// breaks a rare path of a library is worse than one that holds a harmless call too many. Checked
// by arguments elsewhere: clone, socket, ioctl, kill, tgkill, prlimit64.
const std::vector<std::string_view>& common_calls() {
  static const std::vector<std::string_view> calls = {
      // files
      "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2",
      "pwritev2", "open", "openat", "creat", "close", "close_range", "stat", "fstat", "lstat",
      "newfstatat", "statx", "access", "faccessat", "faccessat2", "lseek", "fcntl", "flock",
      "fsync", "fdatasync", "ftruncate", "truncate", "fallocate", "sync_file_range", "fadvise64",
      "getdents", "getdents64", "getcwd", "chdir", "fchdir", "rename", "renameat", "renameat2",
      "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "link", "linkat", "readlink", "readlinkat",
      "chmod", "fchmod", "fchmodat", "fchown", "fchownat", "umask", "utime", "utimes", "utimensat",
      "futimesat", "statfs", "fstatfs", "sendfile", "copy_file_range", "splice", "tee", "readahead",
      "dup", "dup2", "dup3", "pipe", "pipe2", "inotify_init", "inotify_init1", "inotify_add_watch",
      "inotify_rm_watch", "sync", "syncfs",
      // memory
      "mmap", "mprotect", "munmap", "mremap", "madvise", "msync", "mincore", "mlock", "mlock2",
      "munlock", "mlockall", "munlockall", "brk", "membarrier", "pkey_alloc", "pkey_free",
      "pkey_mprotect", "get_mempolicy",
      // waiting
      "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl",
      "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "timerfd_create",
      "timerfd_settime", "timerfd_gettime", "signalfd", "signalfd4", "nanosleep", "clock_nanosleep",
      "pause", "alarm", "getitimer", "setitimer", "timer_create", "timer_settime", "timer_gettime",
      "timer_getoverrun", "timer_delete",
      // time, chance, what is this machine
      "clock_gettime", "clock_getres", "gettimeofday", "time", "times", "getrandom", "uname",
      "sysinfo", "getcpu", "getrusage", "getrlimit", "setrlimit",
      // threads and signals of its own
      "futex", "futex_waitv", "set_robust_list", "get_robust_list", "set_tid_address", "rseq",
      "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam",
      "sched_getscheduler", "sched_setscheduler", "sched_getattr", "sched_get_priority_max",
      "sched_get_priority_min", "getpriority", "setpriority", "rt_sigaction", "rt_sigprocmask",
      "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend", "sigaltstack",
      "restart_syscall", "exit", "exit_group", "arch_prctl", "prctl", "wait4", "waitid",
      // who am I
      "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid",
      "getresgid", "getgroups", "getpgrp", "getpgid", "getsid", "capget",
      // sockets that are there already, and pairs
      "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "shutdown", "getsockopt",
      "setsockopt", "getsockname", "getpeername", "socketpair", "connect"};
  return calls;
}

// One call reads and sets: only the task that judges the clock has it (firmware/timekeep).
const std::vector<std::string_view>& clock_calls() {
  static const std::vector<std::string_view> calls = {"adjtimex", "clock_adjtime"};
  return calls;
}

const std::vector<std::string_view>& serving_calls() {
  static const std::vector<std::string_view> calls = {"bind", "listen", "accept", "accept4"};
  return calls;
}

// No code of ours, and none of our libraries, calls these: whoever does is an intruder.
const std::vector<std::string_view>& fatal_calls() {
  static const std::vector<std::string_view> calls = {"execve",
                                                      "execveat",
                                                      "ptrace",
                                                      "process_vm_readv",
                                                      "process_vm_writev",
                                                      "pidfd_getfd",
                                                      "kcmp",
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
                                                      "kexec_load",
                                                      "kexec_file_load",
                                                      "init_module",
                                                      "finit_module",
                                                      "delete_module",
                                                      "bpf",
                                                      "perf_event_open",
                                                      "userfaultfd",
                                                      "reboot",
                                                      "swapon",
                                                      "swapoff",
                                                      "settimeofday",
                                                      "clock_settime",
                                                      "iopl",
                                                      "ioperm",
                                                      "modify_ldt"};
  return calls;
}

// Of /etc by name: a passphrase or a key file that lies beside these is none of a task's business.
// /proc is whole: entries of processes outside the Landlock domain that matter (mem, environ, fd,
// maps) need the right to trace, which the domain does not have.
const std::vector<std::string_view>& readable_paths() {
  static const std::vector<std::string_view> paths = {"/usr",
                                                      "/lib",
                                                      "/lib64",
                                                      "/lib32",
                                                      "/proc",
                                                      "/sys/devices/system/cpu",
                                                      "/sys/fs/cgroup",
                                                      "/etc/ld.so.cache",
                                                      "/etc/ld.so.conf",
                                                      "/etc/ld.so.conf.d",
                                                      "/etc/ld.so.preload",
                                                      "/etc/ssl",
                                                      "/etc/ca-certificates",
                                                      "/etc/resolv.conf",
                                                      "/run/systemd/resolve",
                                                      "/etc/hosts",
                                                      "/etc/nsswitch.conf",
                                                      "/etc/host.conf",
                                                      "/etc/gai.conf",
                                                      "/etc/services",
                                                      "/etc/protocols",
                                                      "/etc/localtime",
                                                      "/etc/timezone",
                                                      "/etc/passwd",
                                                      "/etc/group",
                                                      "/etc/pkcs11",
                                                      "/etc/softhsm",
                                                      "/etc/tpm2-tss",
                                                      "/etc/crypto-policies",
                                                      "/var/lib/unbound"};
  return paths;
}

const std::vector<std::string_view>& writable_paths() {
  static const std::vector<std::string_view> paths = {"/dev/null", "/dev/zero", "/dev/full",
                                                      "/dev/random", "/dev/urandom"};
  return paths;
}

}  // namespace keyward::sandbox
