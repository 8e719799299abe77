#include "apps/sim/up.h"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/sim/device.h"
#include "apps/sim/keeper.h"
#include "apps/sim/process_id.h"
#include "apps/sim/progress.h"
#include "apps/sim/provision.h"
#include "apps/sim/readiness.h"
#include "apps/sim/settings.h"
#include "hal/base/file.h"

namespace keyward::simulator {
namespace {

constexpr int kPortDefault = 14'000;
constexpr int kHttpPortDefault = 5'002;
constexpr int kPublicPortDefault = 14'080;
constexpr std::int64_t kDownMs = 90'000;
constexpr useconds_t kLookUs = 20'000;

int complain(const std::string& what, const Error& error = {}) {
  std::cerr << "keyward-sim: " << what;
  if (*error.what != '\0')
    std::cerr << ": " << error.what
              << (error.native != 0 ? " (" + std::to_string(error.native) + ")" : "");
  std::cerr << "\n";
  return 1;
}

// Below the range from which the kernel takes clients' ports, and away from those that tests choose:
// certificates name it, so that it must stay free.
int choose_public_port(int acme_port) {
  constexpr int kFirst = 32'100, kCount = 600;
  if (acme_port == kPortDefault && bindable_port(kPublicPortDefault)) return kPublicPortDefault;
  for (int i = 0; i < kCount; ++i) {
    const int port = kFirst + (acme_port + i) % kCount;
    if (bindable_port(port)) return port;
  }
  return 0;
}

// A simulator of before has none, and gets none: the addresses in its certificates are its policy.
Status apply_public_port(const UpOptions& options, bool provisioned, Settings& settings) {
  if (options.public_port != 0) settings.public_port = options.public_port;
  if (settings.public_port == 0 && !provisioned)
    settings.public_port = choose_public_port(settings.port);
  if (settings.public_port == 0 || bindable_port(settings.public_port)) return {};
  return fail(ErrorKind::kUnavailable,
              "127.0.0.1's port for lists and OCSP is taken by another program: choose one with "
              "--public-port",
              settings.public_port);
}

Status apply(const UpOptions& options, bool provisioned, Settings& settings) {
  if (options.http_port != 0) settings.http_port = options.http_port;
  if (settings.http_port == 0) settings.http_port = bindable_port(kHttpPortDefault).value_or(0);
  if (settings.http_port == 0) settings.http_port = bindable_port(0).value_or(kHttpPortDefault);
  if (!options.hosts.empty()) settings.hosts = options.hosts;
  for (const auto& line : options.additions) KEYWARD_CHECK(check_addition(line));
  if (!options.additions.empty()) settings.additions = options.additions;
  if (!options.test_ca.empty() && options.test_ca != settings.test_ca) {
    if (provisioned)
      return fail(ErrorKind::kRefused, "--test-ca is for the first start: this CA has its keys");
    settings.test_ca = options.test_ca;
  }
  if (options.module == "softhsm") {
    settings.module.clear();
    settings.module_environment.clear();
  } else if (!options.module.empty()) {
    settings.module = options.module;
    settings.module_environment = options.module_environment;
  }
  for (const auto& name : options.permitted) {
    if (std::ranges::find(settings.permitted, name) != settings.permitted.end()) continue;
    if (provisioned)
      return fail(ErrorKind::kRefused,
                  "--permit belongs to the ceremony, which was held: the issuing CA's name "
                  "constraints cannot change");
    settings.permitted.push_back(name);
  }
  if (options.port != 0) settings.port = options.port;
  if (settings.port == 0) settings.port = bindable_port(kPortDefault).value_or(0);
  if (settings.port == 0) settings.port = bindable_port(0).value_or(0);
  if (!bindable_port(settings.port))
    return fail(ErrorKind::kUnavailable,
                "127.0.0.1's port is taken by another program: choose one with --port",
                settings.port);
  return apply_public_port(options, provisioned, settings);
}

// Everything before the start; the caller holds the lock.
Status prepare(const Places& places, const UpOptions& options, const Progress& progress,
               Settings& settings) {
  KEYWARD_TRY(loaded, load_settings(places));
  settings = loaded;
  KEYWARD_CHECK(apply(options, file_exists(places.provisioned()), settings));
  KEYWARD_CHECK(make_directories(places.run(), 0755));
  KEYWARD_CHECK(provision(places, settings, progress));
  KEYWARD_CHECK(save_settings(places, settings));
  KEYWARD_CHECK(restore_tokens_if_lost(places, progress));
  const bool separate = ::geteuid() == 0 && reachable_by_others(places.root);
  if (::geteuid() != 0) {
    progress.say(
        "isolation is reduced: an ordinary user cannot give each task a user id of its own");
  } else if (!separate) {
    progress.say(
        "isolation is reduced: all tasks run as root, since others cannot pass a folder above " +
        places.root);
  }
  KEYWARD_CHECK(write_installation(places, settings, separate));
  std::error_code error;
  std::filesystem::remove(places.status(),
                          error);  // an earlier run's words must not be taken for this one's
  return {};
}

pid_t start_keeper(const Places& places) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::setsid();
  const int null = ::open("/dev/null", O_RDONLY);
  const int log = ::open(places.keeper_log().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  ::dup2(null, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  ::close(null);
  ::close(log);
  if (::chdir("/") != 0) ::_exit(1);
  ::_exit(keep(places, false));
}

void show_tail(const std::string& path) {
  const auto text = read_text_file(path, 64u << 20).value_or("");
  std::size_t begin = text.size();
  for (int lines = 0; begin > 0 && lines <= 15; --begin) lines += text[begin - 1] == '\n' ? 1 : 0;
  std::cerr << "---- end of " << path << "\n" << text.substr(begin == 0 ? 0 : begin + 1);
}

// "" when the appliance answers; else what is missing.
std::string missing(const Places& places, const Settings& settings) {
  const auto status = read_status(places);
  if (!status) return "the supervisor is starting";
  const auto state = state_in(*status);
  if (state != "operational") return state + ": " + trouble_in(*status);
  const auto trouble =
      directory_trouble(base_url(settings), own_tls(settings) ? "" : places.root_certificate());
  return trouble.empty() ? "" : "the directory does not answer: " + trouble;
}

// `keeper` 0: not our child.
int wait_until_ready(const Places& places, const Settings& settings, pid_t keeper, int patience_s,
                     const Progress& progress) {
  const auto deadline = Deadline::after_ms(patience_s * 1'000LL);
  std::string said;
  auto next_word = Deadline::after_ms(1'000);
  while (true) {
    const auto what = missing(places, settings);
    if (what.empty()) break;
    if (keeper > 0 && ::waitpid(keeper, nullptr, WNOHANG) == keeper) {
      complain("the simulator ended while starting");
      show_tail(places.keeper_log());
      show_tail(places.log());
      return 1;
    }
    // Waiting cures no configuration.
    if (what.find("the configuration is wrong") != std::string::npos) {
      complain("not ready: " + what + "; change it and start again after `keyward-sim down`");
      show_tail(places.log());
      return 1;
    }
    if (keeper == 0 && !is_running(places))
      return complain("it was running and ended meanwhile: start it again");
    if (deadline.passed()) {
      complain("not ready in time: " + what +
               "; it goes on in the background (`keyward-sim logs`, `keyward-sim down`)");
      show_tail(places.log());
      return 1;
    }
    if (what != said && next_word.passed()) {  // quick starts need no words
      progress.say("waiting: " + what);
      said = what;
      next_word = Deadline::after_ms(500);
    }
    ::usleep(kLookUs);
  }
  progress.say("up: " + base_url(settings) + "/acme/directory");
  return 0;
}

}  // namespace

int up(const Places& places, const UpOptions& options) {
  const Progress progress(options.quiet);
  if (const auto made = make_directories(places.root, 0711); !made)
    return complain("cannot make " + places.root, made.error());
  auto lock = take_lock(places);
  if (!lock && lock.error().kind != ErrorKind::kRefused) return complain("the lock", lock.error());
  if (!lock) {
    const auto settings = load_settings(places);
    if (!settings) return complain("sim.toml", settings.error());
    progress.say("it is running already (options are for a start: `keyward-sim down` first)");
    return wait_until_ready(places, *settings, 0, options.patience_s, progress);
  }
  Settings settings;
  if (const auto prepared = prepare(places, options, progress, settings); !prepared)
    return complain("cannot prepare " + places.root, prepared.error());
  if (options.foreground) {
    progress.say("starting " + base_url(settings) + "/acme/directory; ^C ends it");
    ::fflush(stdout);
    return keep(places, true);
  }
  progress.say("starting the tasks");
  const pid_t keeper = start_keeper(places);
  if (keeper < 0) return complain("cannot fork");
  return wait_until_ready(places, settings, keeper, options.patience_s, progress);
}

int down(const Places& places) {
  stop_all_devices(places);
  if (!is_running(places)) {
    std::cout << "it is not running\n";
    return 0;
  }
  const auto deadline = Deadline::after_ms(kDownMs);
  // Right after `up` the lock is held and the file not written yet.
  while (is_running(places) && !deadline.passed()) {
    const auto id = read_process_id(places.keeper());
    const auto keeper =
        id ? open_process(*id) : Result<UniqueFd>(fail(ErrorKind::kUnavailable, "not there yet"));
    if (keeper) {
      (void)signal_process(*keeper, SIGTERM);
      (void)wait_ended(*keeper, deadline);
    }
    ::usleep(kLookUs);
  }
  if (is_running(places)) return complain("it does not end; see " + places.keeper_log());
  return 0;
}

}  // namespace keyward::simulator
