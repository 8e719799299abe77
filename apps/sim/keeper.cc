#include "apps/sim/keeper.h"

#include <optional>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/sim/process_id.h"
#include "apps/sim/provision.h"
#include "board/sim/swtpm.h"
#include "firmware/config/config.h"
#include "firmware/log/log.h"
#include "firmware/supervise/graph.h"
#include "firmware/supervise/installation.h"
#include "hal/base/file.h"

namespace keyward::simulator {
namespace {

constexpr std::int64_t kTpmStartMs = 20'000;
constexpr std::int64_t kTpmStopMs = 5'000;
constexpr std::int64_t kSupervisorStopMs =
    60'000;  // its own deadlines for six tasks are shorter together
constexpr int kLookAtTpmMs = 250;

class Keeper {
 public:
  Keeper(const Places& places, bool foreground) : places_(places), foreground_(foreground) {}

  int run() {
    log::set_task("keeper");
    if (const auto begun = begin(); !begun) {
      log::error("the simulator cannot begin", begun.error());
      finish();
      return 1;
    }
    const bool orderly = watch();
    finish();
    return orderly ? 0 : 1;
  }

 private:
  Status begin() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signal);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) return fail(ErrorKind::kExhausted, "cannot make a signal descriptor", errno);
    KEYWARD_TRY(self, identify(::getpid()));
    KEYWARD_CHECK(write_process_id(places_.keeper(), self));
    KEYWARD_CHECK(start_tpm());
    return start_supervisor();
  }

  Status start_tpm() {
    sim::SwtpmSpec spec;
    spec.state_dir = places_.tpm_state();
    spec.socket_path = places_.tpm_socket();
    spec.log_path = places_.run() + "/tpm.log";
    // As root the platform task has a user id of its own and must reach the socket; nobody else
    // may.
    if (::geteuid() == 0) {
      const auto graph = supervise::load_graph(own_directory() + "/tasks.toml");
      const auto file = supervise::load_installation(places_.installation(), graph.graph);
      const auto* platform = graph.graph.find(wire::TaskId::kPlatform);
      if (platform == nullptr || !file.problems.empty())
        return fail(ErrorKind::kBadInput, "tasks.toml or keyward.toml is not readable");
      if (file.installation.separate_uids)
        spec.socket_uid = static_cast<int>(file.installation.uid_base + platform->uid_offset);
    }
    KEYWARD_TRY(process, sim::SwtpmProcess::start(spec, Deadline::after_ms(kTpmStartMs)));
    tpm_.emplace(std::move(process));
    return {};
  }

  Status start_supervisor() {
    const std::string program = own_directory() + "/keyward-supervisor";
    const pid_t parent = ::getpid();
    supervisor_pid_ = ::fork();
    if (supervisor_pid_ < 0) return fail(ErrorKind::kExhausted, "cannot fork", errno);
    if (supervisor_pid_ == 0) {
      sigset_t none;
      ::sigemptyset(&none);
      ::sigprocmask(SIG_SETMASK, &none, nullptr);
      ::setpgid(0, 0);  // ^C on a terminal is for us, who stop it in order
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      const char* arguments[] = {program.c_str(), places_.installation().c_str(),
                                 foreground_ ? "--foreground" : nullptr, nullptr};
      const std::string installation = places_.installation();
      arguments[1] = installation.c_str();
      ::execv(program.c_str(), const_cast<char**>(arguments));
      ::_exit(127);
    }
    KEYWARD_TRY(id, identify(supervisor_pid_));
    KEYWARD_TRY(fd, open_process(id));
    supervisor_ = std::move(fd);
    return {};
  }

  // True: asked to end.
  bool watch() {
    while (true) {
      pollfd entries[2] = {{signals_.get(), POLLIN, 0}, {supervisor_.get(), POLLIN, 0}};
      ::poll(entries, 2, kLookAtTpmMs);
      if (entries[1].revents != 0) {
        log::error("the supervisor ended by itself; the simulator ends with it");
        return false;
      }
      if (entries[0].revents != 0 && asked_to_end()) return true;
      look_at_tpm();
    }
  }

  bool asked_to_end() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo != SIGHUP) return true;
    }
    return false;
  }

  // A TPM that is gone comes back: on a PC as on a board after its reset.
  void look_at_tpm() {
    if (tpm_ && tpm_->running()) return;
    log::warning("the TPM process ended; starting it again");
    tpm_.reset();
    if (const auto started = start_tpm(); !started)
      log::error("the TPM cannot be started", started.error());
  }

  void finish() {
    if (supervisor_) {
      (void)signal_process(supervisor_, SIGTERM);
      if (!wait_ended(supervisor_, Deadline::after_ms(kSupervisorStopMs)))
        (void)signal_process(supervisor_, SIGKILL);
      ::waitpid(supervisor_pid_, nullptr, 0);
    }
    if (tpm_) tpm_->stop(Deadline::after_ms(kTpmStopMs));
    if (const auto copied = back_up_tokens(places_); !copied)
      log::error("no copy of the token was made", copied.error());
    ::unlink(places_.keeper().c_str());
  }

  Places places_;
  bool foreground_;
  UniqueFd signals_;
  std::optional<sim::SwtpmProcess> tpm_;
  pid_t supervisor_pid_ = -1;
  UniqueFd supervisor_;
};

}  // namespace

namespace {

// A lock of the open file: it goes on into the keeper that is forked, and whoever only asks for it
// takes nothing (a question by flock would make a start beside it believe that it runs already).
struct flock whole_file() {
  struct flock out {};
  out.l_type = F_WRLCK;
  out.l_whence = SEEK_SET;
  return out;
}

}  // namespace

Result<UniqueFd> take_lock(const Places& places) {
  UniqueFd fd(::open(places.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail(ErrorKind::kUnavailable, "cannot open the lock file", errno);
  auto lock = whole_file();
  if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0)
    return fail(ErrorKind::kRefused, "another keyward-sim holds this folder");
  return fd;
}

bool is_running(const Places& places) {
  if (!file_exists(places.lock())) return false;
  const UniqueFd fd(::open(places.lock().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  auto lock = whole_file();
  return fd && ::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int keep(const Places& places, bool foreground) { return Keeper(places, foreground).run(); }

}  // namespace keyward::simulator
