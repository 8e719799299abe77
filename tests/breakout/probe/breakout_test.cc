// The table task × attempt × result, with a probe that starts exactly as a task does: the
// supervisor's launch with its profile, then the task's own part. As root it runs with user ids of
// the tasks; then again, under setpriv, as an ordinary user.
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firmware/sandbox/confine.h"
#include "firmware/supervise/file_rules.h"
#include "firmware/supervise/process.h"
#include "firmware/supervise/state_directory.h"
#include "firmware/task/channel.h"
#include "firmware/wire/messages/control_start.h"

namespace keyward::supervise {
namespace {

namespace fs = std::filesystem;
constexpr unsigned kUidBase = 63'500;

struct TaskCase {
  const char* name;
  wire::TaskId id;
  bool network;
};
constexpr TaskCase kTasks[] = {{"acme", wire::TaskId::kAcme, true},
                               {"store", wire::TaskId::kStore, false},
                               {"validation", wire::TaskId::kValidation, true},
                               {"attestation", wire::TaskId::kAttestation, false},
                               {"signer", wire::TaskId::kSigner, false},
                               {"platform", wire::TaskId::kPlatform, false},
                               {"admin", wire::TaskId::kAdmin, true},
                               {"syslog", wire::TaskId::kSyslog, true}};

// What each attempt must end with. "killed": SIGSYS, the kill list.
struct AttemptCase {
  const char* name;
  const char* offline;  // tasks without a network
  const char* online;   // acme, validation, admin, syslog
};
constexpr AttemptCase kAttempts[] = {
    {"own-file", "got-out", "got-out"},  // the filter lets work
    {"sibling-file", "EACCES", "EACCES"}, {"write-etc", "EACCES", "EACCES"},
    {"shadow", "EACCES", "EACCES"},       {"proc-mem", "EACCES", "EACCES"},
    {"proc-environ", "EACCES", "EACCES"}, {"connect", "EAFNOSUPPORT", "got-out"},
    {"exec", "killed", "killed"},         {"memfd-exec", "ENOSYS", "ENOSYS"},
    {"ptrace", "killed", "killed"},       {"kill", "EPERM", "EPERM"},
    {"sigio", "tried", "tried"},          {"mount", "killed", "killed"},
    {"ioctl", "ENOSYS", "ENOSYS"},        {"fork", "EPERM", "EPERM"},
    {"unshare", "killed", "killed"}};

class Breakout : public testing::Test {
 protected:
  void SetUp() override {
    if (sandbox::sanitizer_build()) GTEST_SKIP() << "sanitizers need more calls than the list has";
    if (sandbox::landlock_abi() < sandbox::kScopeAbi)
      GTEST_SKIP() << "the kernel's Landlock is older than ABI 6";
    while (true) {
      const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
      if (fd > 3) {
        ::close(fd);
        break;
      }
    }
    char name[] = "/tmp/keyward-breakout-XXXXXX";
    root_ = ::mkdtemp(name);
    ::chmod(root_.c_str(), 0755);
    own_uid_ = ::geteuid() == 0;
    installation_.state_root = root_ + "/state";
    fs::create_directory(installation_.state_root);
    for (unsigned i = 0; i < std::size(kTasks); ++i) {
      const std::string dir = installation_.state_root + "/" + kTasks[i].name;
      ASSERT_TRUE(prepare_state_directory(dir, false, 0));
      std::ofstream(dir + "/secret") << "secret";
      ASSERT_TRUE(prepare_state_directory(dir, own_uid_, kUidBase + i));
    }
    // The sibling: a process of the test itself, of the same user where users are shared.
    sibling_ = ::fork();
    if (sibling_ == 0) {
      ::signal(SIGUSR1, SIG_DFL);
      while (true) ::pause();
    }
    listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(listener_.get(), 16), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ::ntohs(address.sin_port);
  }
  void TearDown() override {
    if (sibling_ > 0) {
      ::kill(sibling_, SIGKILL);
      ::waitpid(sibling_, nullptr, 0);
    }
    std::error_code error;
    if (!root_.empty()) fs::remove_all(root_, error);
  }
  std::string target_of(const std::string& attempt, const std::string& task) const {
    const std::string other = task == "store" ? "signer" : "store";
    if (attempt == "own-file") return installation_.state_root + "/" + task + "/new";
    if (attempt == "sibling-file") return installation_.state_root + "/" + other + "/secret";
    if (attempt == "write-etc") return "/etc/keyward-breakout";
    if (attempt == "shadow") return "/etc/shadow";
    if (attempt == "proc-mem") return "/proc/" + std::to_string(sibling_) + "/mem";
    if (attempt == "proc-environ") return "/proc/" + std::to_string(sibling_) + "/environ";
    if (attempt == "connect") return std::to_string(port_);
    return std::to_string(sibling_);
  }
  std::string attempt(unsigned index, const std::string& name) {
    const TaskCase& task = kTasks[index];
    Launch request;
    request.executable = PROBE;
    request.name = "probe";
    request.environment = {std::string("BREAKOUT_TASK=") + task.name, "BREAKOUT_ATTEMPT=" + name,
                           "BREAKOUT_TARGET=" + target_of(name, task.name)};
    request.profile = {64, 64, own_uid_, kUidBase + index, installation_.sandbox.network(task.name),
                       {}};
    request.profile.files = file_rules(installation_, task.name, request.executable, "");
    auto process = launch(request);
    if (!process) return "not-started";
    const wire::ControlStart start{task.id, installation_.sandbox.section(task.name), {}};
    if (!task::send_frame(process->control.get(), wire::encode_frame(0, start), {},
                          Deadline::after_ms(5'000)))
      return "no-start-frame";
    const Ending ending = reap(*process);
    std::array<char, 4096> bytes{};
    const auto got = ::read(process->output.get(), bytes.data(), bytes.size());
    const std::string text(bytes.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    if (ending.signal == SIGSYS) return "killed";
    const auto at = text.find("RESULT ");
    if (at == std::string::npos) return "[" + ending.text() + ": " + text + "]";
    return text.substr(at + 7, text.find('\n', at) - at - 7);
  }
  std::string root_;
  Installation installation_;
  UniqueFd listener_;
  int port_ = 0;
  pid_t sibling_ = -1;
  bool own_uid_ = false;
};

TEST_F(Breakout, EachAttempt_OfEachTask_EndsAsTheTableSays) {
  std::printf("as %s\n%-14s", own_uid_ ? "root, a user id for each task" : "an ordinary user", "");
  for (const auto& task : kTasks) std::printf(" %-13s", task.name);
  std::printf("\n");
  for (const auto& attempted : kAttempts) {
    std::printf("%-14s", attempted.name);
    for (unsigned i = 0; i < std::size(kTasks); ++i) {
      const std::string result = attempt(i, attempted.name);
      std::printf(" %-13s", result.c_str());
      EXPECT_EQ(result, kTasks[i].network ? attempted.online : attempted.offline)
          << kTasks[i].name << " " << attempted.name;
    }
    std::printf("\n");
  }
  EXPECT_EQ(::kill(sibling_, 0), 0);
  int status = 0;
  EXPECT_EQ(::waitpid(sibling_, &status, WNOHANG), 0) << "the sibling was reached by a signal";
}

// A release board refuses to run with less: here nobody has a user id of his own.
TEST_F(Breakout, RequiredLayerMissing_TaskRefusesToStart) {
  installation_.sandbox.require = {"seccomp", "uid"};
  own_uid_ = false;
  EXPECT_NE(attempt(1, "mount").find("exit 78"), std::string::npos);
  installation_.sandbox.require = {"seccomp", "landlock"};
  EXPECT_EQ(attempt(1, "mount"), "killed");
}

// The same once more without privileges: what holds then does not rest on user ids.
TEST_F(Breakout, AsAnOrdinaryUser_TheTableHoldsToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "this is the ordinary user";
  const std::string copy = root_ + "/bin";
  fs::create_directory(copy);
  ::chmod(copy.c_str(), 0755);
  fs::copy_file(fs::read_symlink("/proc/self/exe"), copy + "/breakout_test");
  const std::string command =
      "setpriv --reuid 65534 --regid 65534 --clear-groups " + copy +
      "/breakout_test --gtest_filter=Breakout.EachAttempt*:Breakout.Required*";
  std::fflush(stdout);
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace keyward::supervise
