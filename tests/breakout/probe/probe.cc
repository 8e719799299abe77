// A task that was taken over: starts as every task does (firmware/task), then tries to get out, one
// attempt a process life where the attempt may end it. Prints "RESULT <attempt> <word>" on standard
// error: the test that started it compares.
//
// The attempt and what it aims at come by the environment, as the supervisor passes it:
// BREAKOUT_ATTEMPT, BREAKOUT_TARGET (path, port, or process id).
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "firmware/task/task.h"

namespace {

std::string target() {
  const char* text = std::getenv("BREAKOUT_TARGET");
  return text != nullptr ? text : "";
}

const char* word(bool got) { return got ? "got-out" : ::strerrorname_np(errno); }

const char* open_file() { return word(::open(target().c_str(), O_RDONLY) >= 0); }
const char* write_file() { return word(::open(target().c_str(), O_WRONLY | O_CREAT, 0600) >= 0); }

const char* connect_out() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return word(false);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  address.sin_port = ::htons(static_cast<std::uint16_t>(std::stoi(target())));
  return word(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

const char* run_program() {
  char name[] = "true";
  char* const arguments[] = {name, nullptr};
  ::execve("/usr/bin/true", arguments, nullptr);
  return word(false);
}

const char* run_from_memory() {
  const int fd = static_cast<int>(::syscall(SYS_memfd_create, "x", 0));
  if (fd < 0) return word(false);
  char* const arguments[] = {nullptr};
  ::syscall(SYS_execveat, fd, "", arguments, nullptr, AT_EMPTY_PATH);
  return word(false);
}

const char* trace() {
  return word(::ptrace(PTRACE_ATTACH, std::stoi(target()), nullptr, nullptr) == 0);
}
const char* kill_sibling() { return word(::kill(std::stoi(target()), 0) == 0); }
// Past the filter of `kill`: SIGIO of a descriptor is sent by the kernel on our behalf.
const char* signal_by_descriptor() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return word(false);
  if (::fcntl(ends[0], F_SETOWN, std::stoi(target())) != 0 ||
      ::fcntl(ends[0], F_SETSIG, SIGUSR1) != 0 || ::fcntl(ends[0], F_SETFL, O_ASYNC) != 0)
    return word(false);
  return ::write(ends[1], "x", 1) == 1 ? "tried" : word(false);
}
const char* mount_something() { return word(::mount("none", "/tmp", "tmpfs", 0, nullptr) == 0); }
const char* push_input() {
  char c = 'x';
  return word(::ioctl(2, TIOCSTI, &c) == 0);
}
const char* fork_once() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  return word(pid > 0);
}
const char* new_user_space() { return word(::syscall(SYS_unshare, 0x10000000) == 0); }
const char* own_file() { return word(::open(target().c_str(), O_RDWR | O_CREAT, 0600) >= 0); }

}  // namespace

int main() {
  const char* who = std::getenv("BREAKOUT_TASK");
  const std::map<std::string, keyward::wire::TaskId> ids = {
      {"acme", keyward::wire::TaskId::kAcme},
      {"store", keyward::wire::TaskId::kStore},
      {"validation", keyward::wire::TaskId::kValidation},
      {"attestation", keyward::wire::TaskId::kAttestation},
      {"signer", keyward::wire::TaskId::kSigner},
      {"platform", keyward::wire::TaskId::kPlatform},
      {"admin", keyward::wire::TaskId::kAdmin},
      {"syslog", keyward::wire::TaskId::kSyslog}};
  const std::map<std::string, const char* (*)()> attempts = {
      {"own-file", own_file},     {"sibling-file", open_file}, {"write-etc", write_file},
      {"shadow", open_file},      {"proc-mem", open_file},     {"proc-environ", open_file},
      {"connect", connect_out},   {"exec", run_program},       {"memfd-exec", run_from_memory},
      {"ptrace", trace},          {"kill", kill_sibling},      {"sigio", signal_by_descriptor},
      {"mount", mount_something}, {"ioctl", push_input},       {"fork", fork_once},
      {"unshare", new_user_space}};
  keyward::task::Task task(ids.at(who != nullptr ? who : ""), {});
  const char* attempt = std::getenv("BREAKOUT_ATTEMPT");
  const auto found = attempts.find(attempt != nullptr ? attempt : "");
  if (found == attempts.end()) keyward::task::Task::exit(64);
  ::fprintf(stderr, "RESULT %s\n", found->second());
  keyward::task::Task::exit(0);
}
