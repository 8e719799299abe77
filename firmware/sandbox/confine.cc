#include "firmware/sandbox/confine.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <sstream>

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "firmware/sandbox/profile_table.h"

namespace keyward::sandbox {
namespace {

using Filter = std::unique_ptr<void, decltype(&::seccomp_release)>;

// Descriptors' flags and lengths, and the question whether one is a terminal.
constexpr unsigned long kIoctls[] = {FIONBIO, FIONREAD, FIOCLEX, FIONCLEX, TCGETS};

int add(void* filter, std::uint32_t action, std::string_view name,
        const std::vector<scmp_arg_cmp>& conditions = {}) {
  const int number = ::seccomp_syscall_resolve_name(std::string(name).c_str());
  if (number < 0) return 0;
  return ::seccomp_rule_add_array(filter, action, number, static_cast<unsigned>(conditions.size()),
                                  conditions.data());
}

scmp_arg_cmp compare(unsigned argument, scmp_compare how, scmp_datum_t a, scmp_datum_t b = 0) {
  return scmp_arg_cmp{argument, how, a, b};
}

int add_own_process(void* filter) {
  const auto self = static_cast<scmp_datum_t>(::getpid());
  int code = 0;
  for (const char* name : {"kill", "tgkill"}) {
    code |= add(filter, SCMP_ACT_ALLOW, name, {compare(0, SCMP_CMP_EQ, self)});
    code |= add(filter, SCMP_ACT_ERRNO(EPERM), name, {compare(0, SCMP_CMP_NE, self)});
  }
  // Threads yes, processes no. clone3 hides its flags from a filter: ENOSYS, and glibc uses clone.
  code |= add(filter, SCMP_ACT_ALLOW, "clone",
              {compare(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)});
  code |= add(filter, SCMP_ACT_ERRNO(EPERM), "clone",
              {compare(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)});
  for (const char* name : {"fork", "vfork"}) code |= add(filter, SCMP_ACT_ERRNO(EPERM), name);
  code |= add(filter, SCMP_ACT_ALLOW, "prlimit64", {compare(0, SCMP_CMP_EQ, 0)});
  code |= add(filter, SCMP_ACT_ALLOW, "prlimit64", {compare(0, SCMP_CMP_EQ, self)});
  return code;
}

int add_sockets(void* filter, bool network) {
  int code = add(filter, SCMP_ACT_ALLOW, "socket", {compare(0, SCMP_CMP_EQ, AF_UNIX)});
  if (!network) {
    code |= add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket", {compare(0, SCMP_CMP_NE, AF_UNIX)});
    return code;
  }
  for (const int family : {AF_INET, AF_INET6, AF_NETLINK}) {
    code |= add(filter, SCMP_ACT_ALLOW, "socket",
                {compare(0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(family))});
  }
  return code;
}

}  // namespace

bool sanitizer_build() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
  return true;
#else
  return false;
#endif
#else
  return false;
#endif
}

Status allow_only(std::string_view task, const std::vector<std::string>& extra_calls,
                  bool network) {
  const TaskRules* rules = rules_of(task);
  if (rules == nullptr) return fail(ErrorKind::kBadInput, "no profile for this task");
  const Filter filter(::seccomp_init(SCMP_ACT_ERRNO(ENOSYS)), &::seccomp_release);
  if (!filter) return fail(ErrorKind::kInternal, "cannot make a system call filter");
  const bool with_network = rules->network || network;
  int code = ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  for (const auto name : common_calls()) code |= add(filter.get(), SCMP_ACT_ALLOW, name);
  if (rules->serves || with_network) {
    for (const auto name : serving_calls()) code |= add(filter.get(), SCMP_ACT_ALLOW, name);
  }
  if (rules->clock) {
    for (const auto name : clock_calls()) code |= add(filter.get(), SCMP_ACT_ALLOW, name);
  }
  for (const auto name : fatal_calls()) code |= add(filter.get(), SCMP_ACT_KILL_PROCESS, name);
  for (const auto& name : extra_calls) {
    if (std::ranges::find(fatal_calls(), name) != fatal_calls().end())
      return fail(ErrorKind::kBadInput, "a board may not allow a call of the kill list");
    if (std::ranges::find(common_calls(), name) == common_calls().end())
      code |= add(filter.get(), SCMP_ACT_ALLOW, name);
  }
  for (const auto request : kIoctls)
    code |= add(filter.get(), SCMP_ACT_ALLOW, "ioctl", {compare(1, SCMP_CMP_EQ, request)});
  code |= add_own_process(filter.get());
  code |= add_sockets(filter.get(), with_network);
  if (code != 0) return fail(ErrorKind::kInternal, "cannot build the system call filter", code);
  code = ::seccomp_load(filter.get());
  if (code != 0) return fail(ErrorKind::kUnavailable, "cannot load the system call filter", code);
  return {};
}

std::vector<std::string> take_inherited_layers() {
  std::vector<std::string> out;
  const char* text = std::getenv(kLayersVariable);
  std::istringstream words(text != nullptr ? text : "");
  for (std::string word; words >> word;) out.push_back(word);
  ::unsetenv(kLayersVariable);
  return out;
}

}  // namespace keyward::sandbox
