// Fork, exec and end of swtpm and swtpm_setup: see swtpm.h.
#include "board/sim/swtpm.h"

#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hal/base/file.h"

namespace keyward::sim {
namespace {

constexpr const char* kState = "/tpm2-00.permall";
constexpr std::int64_t kPollMs = 2;
constexpr int kExitCannotExec = 127;

struct ChildSpec {
  std::vector<std::string> arguments;  // of the program, found on PATH
  std::string log_path;
  bool die_with_parent = true;
};

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;
};

bool wait_ended(const UniqueFd& pidfd, Deadline deadline) {
  while (true) {
    pollfd poll_fd{pidfd.get(), POLLIN, 0};
    const int ready = ::poll(&poll_fd, 1, static_cast<int>(deadline.remaining_ms()));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return false;
  }
}

// In the child, between fork and exec: async-signal-safe calls alone.
[[noreturn]] void become(char* const* arguments, int in_fd, int log_fd, bool die_with_parent,
                         pid_t parent) {
  ::setpgid(0,
            0);  // own group: Ctrl-C on the terminal is for the launcher, which stops us in order
  if (die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(kExitCannotExec);  // it ended before the prctl
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::dup2(in_fd, STDIN_FILENO);
  ::dup2(log_fd, STDOUT_FILENO);
  ::dup2(log_fd, STDERR_FILENO);
  ::close_range(3, ~0U, 0);
  ::execvp(arguments[0], arguments);
  ::_exit(kExitCannotExec);
}

Result<Child> spawn(const ChildSpec& spec) {
  std::vector<char*> arguments;
  for (const auto& argument : spec.arguments)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  UniqueFd log;
  if (!spec.log_path.empty()) {
    log.reset(::open(spec.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!log) return fail(ErrorKind::kUnavailable, "swtpm: cannot open the log", errno);
  }
  if (!null) return fail(ErrorKind::kUnavailable, "swtpm: cannot open /dev/null", errno);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail(ErrorKind::kUnavailable, "swtpm: cannot fork", errno);
  if (pid == 0) {
    become(arguments.data(), null.get(), log ? log.get() : null.get(), spec.die_with_parent,
           parent);
  }
  ::setpgid(pid, pid);  // both sides do it, so that it is done whoever runs first
  Child child;
  child.pid = pid;
  // glibc 2.36 declares pidfd_open without C linkage.
  child.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (child.pidfd) return child;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return fail(ErrorKind::kUnavailable, "swtpm: cannot watch a process", errno);
}

Status run_to_end(const ChildSpec& spec, Deadline deadline) {
  KEYWARD_TRY(child, spawn(spec));
  const bool in_time = wait_ended(child.pidfd, deadline);
  if (!in_time) ::kill(-child.pid, SIGKILL);  // with the swtpm that it started
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) return fail(ErrorKind::kUnavailable, "swtpm: manufacture took too long");
  if (WIFEXITED(status) && WEXITSTATUS(status) == kExitCannotExec) {
    return fail(ErrorKind::kUnavailable,
                "swtpm: a program is not installed (Debian: swtpm, swtpm-tools)");
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return fail(ErrorKind::kUnavailable, "swtpm: manufacture failed; see manufacture.log", status);
  }
  return {};
}

// Debian's own configuration of these programs writes under /var/lib; ours stays beside the CA.
Status write_manufacturer_config(const std::string& ca_dir) {
  const std::string localca = "statedir = " + ca_dir + "\nsigningkey = " + ca_dir +
                              "/signkey.pem\nissuercert = " + ca_dir +
                              "/issuercert.pem\ncertserial = " + ca_dir + "/certserial\n";
  constexpr std::string_view kPlatform =
      "--platform-manufacturer Keyward\n--platform-version 1.0\n--platform-model Simulator\n";
  const std::string setup =
      "create_certs_tool = swtpm_localca\ncreate_certs_tool_config = " + ca_dir +
      "/localca.conf\ncreate_certs_tool_options = " + ca_dir +
      "/localca.options\nactive_pcr_banks = sha256\n";
  KEYWARD_CHECK(replace_file(ca_dir + "/localca.conf", view_of(localca), 0600));
  KEYWARD_CHECK(replace_file(ca_dir + "/localca.options", view_of(kPlatform), 0600));
  return replace_file(ca_dir + "/setup.conf", view_of(setup), 0600);
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path[0] != '/' || path.size() >= sizeof address.sun_path) {
    return fail(ErrorKind::kBadInput,
                "swtpm: the socket path is relative or longer than 107 octets");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

bool accepts(const std::string& path) {
  const auto address = address_of(path);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return address && fd &&
         ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0;
}

std::string octal(unsigned mode) {
  std::string out = "0";
  for (int shift = 6; shift >= 0; shift -= 3) out += static_cast<char>('0' + (mode >> shift & 7));
  return out;
}

ChildSpec swtpm_child(const SwtpmSpec& spec) {
  const std::string owner = ",mode=" + octal(spec.socket_mode) +
                            (spec.socket_uid >= 0 ? ",uid=" + std::to_string(spec.socket_uid) : "");
  ChildSpec child;
  child.arguments = {"swtpm",
                     "socket",
                     "--tpm2",
                     "--tpmstate",
                     "dir=" + spec.state_dir + ",mode=0600",
                     "--server",
                     "type=unixio,path=" + spec.socket_path + owner,
                     "--ctrl",
                     "type=unixio,path=" + spec.socket_path + ".ctrl" + owner,
                     "--flags",
                     "not-need-init,startup-clear"};
  child.log_path = spec.log_path;
  child.die_with_parent = spec.die_with_parent;
  return child;
}

}  // namespace

Status manufacture_swtpm(const std::string& state_dir, const TpmManufacturer& manufacturer,
                         Deadline deadline) {
  if (state_dir.empty() || state_dir[0] != '/' || manufacturer.ca_dir.empty() ||
      manufacturer.ca_dir[0] != '/') {
    return fail(ErrorKind::kBadInput, "swtpm: a directory is not absolute");
  }
  if (file_exists(state_dir + kState)) return {};
  const std::string half_made = state_dir + ".new";
  std::error_code error;
  std::filesystem::remove_all(half_made, error);
  KEYWARD_CHECK(make_directories(half_made, 0700));
  KEYWARD_CHECK(make_directories(manufacturer.ca_dir, 0700));
  KEYWARD_CHECK(write_manufacturer_config(manufacturer.ca_dir));
  ChildSpec child;
  child.arguments = {"swtpm_setup",      "--tpm2",      "--tpmstate",
                     half_made,          "--config",    manufacturer.ca_dir + "/setup.conf",
                     "--create-ek-cert", "--lock-nvram"};
  if (!manufacturer.ek_certificates_dir.empty()) {
    KEYWARD_CHECK(make_directories(manufacturer.ek_certificates_dir, 0700));
    child.arguments.insert(child.arguments.end(),
                           {"--write-ek-cert-files", manufacturer.ek_certificates_dir});
  }
  child.log_path = manufacturer.ca_dir + "/manufacture.log";
  KEYWARD_CHECK(run_to_end(child, deadline));
  // An empty directory may have been made for the TPM before; rename(2) replaces it.
  if (::rename(half_made.c_str(), state_dir.c_str()) != 0) {
    return fail(ErrorKind::kUnavailable, "swtpm: cannot put the state in place", errno);
  }
  return sync_directory(std::filesystem::path(state_dir).parent_path().string());
}

Result<SwtpmProcess> SwtpmProcess::start(const SwtpmSpec& spec, Deadline deadline) {
  KEYWARD_CHECK(address_of(spec.socket_path + ".ctrl"));
  if (spec.state_dir.empty() || spec.state_dir[0] != '/') {
    return fail(ErrorKind::kBadInput, "swtpm: a directory is not absolute");
  }
  // A live TPM there is somebody else's; a dead one's sockets would be in the way of bind(2).
  if (accepts(spec.socket_path))
    return fail(ErrorKind::kUnavailable, "swtpm: a TPM runs there already");
  ::unlink(spec.socket_path.c_str());
  ::unlink((spec.socket_path + ".ctrl").c_str());
  KEYWARD_CHECK(make_directories(spec.state_dir, 0700));
  KEYWARD_TRY(child, spawn(swtpm_child(spec)));
  SwtpmProcess process;
  process.socket_path_ = spec.socket_path;
  process.pid_ = child.pid;
  process.pidfd_ = std::move(child.pidfd);
  KEYWARD_CHECK(process.wait_ready(deadline));
  return process;
}

// The control socket is bound last, so its answer means that both are there.
Status SwtpmProcess::wait_ready(Deadline deadline) const {
  while (!accepts(socket_path_ + ".ctrl") || !accepts(socket_path_)) {
    if (deadline.passed()) return fail(ErrorKind::kUnavailable, "swtpm: not ready by the deadline");
    if (wait_ended(pidfd_, Deadline::after_ms(kPollMs))) {
      return fail(ErrorKind::kUnavailable, "swtpm: ended at start; its log says why");
    }
  }
  return {};
}

SwtpmProcess::SwtpmProcess(SwtpmProcess&& other) noexcept
    : socket_path_(std::move(other.socket_path_)),
      pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)) {}

SwtpmProcess& SwtpmProcess::operator=(SwtpmProcess&& other) noexcept {
  if (this == &other) return *this;
  kill();
  socket_path_ = std::move(other.socket_path_);
  pid_ = std::exchange(other.pid_, -1);
  pidfd_ = std::move(other.pidfd_);
  return *this;
}

bool SwtpmProcess::running() const {
  return pid_ > 0 && !wait_ended(pidfd_, Deadline::after_ms(0));
}

void SwtpmProcess::stop(Deadline deadline) { end(SIGTERM, deadline); }
void SwtpmProcess::kill() { end(SIGKILL, Deadline::after_ms(0)); }

void SwtpmProcess::end(int signal, Deadline deadline) {
  if (pid_ <= 0) return;
  ::kill(pid_, signal);
  if (signal != SIGKILL && !wait_ended(pidfd_, deadline)) ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  pidfd_.reset();
}

pid_t SwtpmProcess::release() {
  pidfd_.reset();
  return std::exchange(pid_, -1);
}

}  // namespace keyward::sim
