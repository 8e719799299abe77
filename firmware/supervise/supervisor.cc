#include "firmware/supervise/supervisor.h"

#include <algorithm>
#include <map>
#include <utility>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "firmware/log/log.h"
#include "firmware/supervise/child.h"
#include "firmware/supervise/file_rules.h"
#include "firmware/supervise/metrics_file.h"
#include "firmware/supervise/state_directory.h"
#include "firmware/syslog/spool_writer.h"
#include "firmware/task/channel.h"
#include "firmware/task/task.h"
#include "firmware/wire/messages/control_heartbeat.h"
#include "firmware/wire/messages/control_metrics.h"
#include "firmware/wire/messages/control_peer.h"
#include "firmware/wire/messages/control_ready.h"
#include "firmware/wire/messages/control_start.h"
#include "firmware/wire/messages/control_state.h"
#include "firmware/wire/messages/control_stop.h"
#include "firmware/zeroise/zeroise.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"

namespace keyward::supervise {
namespace {

using wire::TaskId;

std::int64_t now_ms() { return system_clock().monotonic_ms(); }

// One end of an edge, ready to be handed to its task.
struct End {
  wire::PeerEnd peer;
  UniqueFd fd;
};
using EndsByTask = std::map<TaskId, std::vector<End>>;

// Descriptors 0 to 3 must be taken, so that the child can place its own there (firmware/sandbox).
void take_low_descriptors() {
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= task::kControlFd) fd = ::open("/dev/null", O_RDWR);
  if (fd >= 0) ::close(fd);
}

std::vector<std::string> isolation_texts() {
  return {"no_new_privs", "not dumpable, no core files", "deny list of system calls",
          "own descriptors alone", "killed with the supervisor"};
}

}  // namespace

struct Supervisor::Impl {
  Graph graph;
  Installation installation;
  Options options;
  bool own_uids = false;
  std::vector<std::unique_ptr<Child>> children;
  std::unique_ptr<LogFile> log;
  std::unique_ptr<syslog::SpoolWriter> spool;  // null: no task reads it
  LineCollector own_lines{"supervisor"};
  UniqueFd own_output;  // read end of what this process itself writes to standard error
  UniqueFd signals;
  ApplianceStatus status;
  std::string last_status;
  bool stopping = false;
  bool zeroising = false;       // nothing starts until everything has ended and is destroyed
  std::vector<int> stop_ranks;  // still to be stopped, ascending
  std::int64_t next_pet_ms = 0;
  MetricsFile metrics;
  std::int64_t next_metrics_ms = 0;

  // ---- start
  Status prepare();
  Status take_over_stderr();
  Status open_spool();
  void say_isolation();
  void start(const std::vector<Child*>& wanted);
  void start_one(Child& child, std::vector<End> ends);
  EndsByTask make_ends(const std::vector<Child*>& wanted);
  std::vector<std::string> environment() const;
  Child* find(TaskId id);

  // ---- watch
  int loop();
  void turn(const std::vector<pollfd>& entries, const std::vector<Child*>& owners);
  void read_signal();
  void read_control(Child& child);
  void read_output(Child& child);
  bool read_lines(int fd, LineCollector& lines);
  void read_own_output() { read_lines(own_output.get(), own_lines); }
  bool take_frame(Child& child, const task::ReceivedFrame& frame);
  void kill_child(Child& child, std::string_view why);
  void obey_platform(std::string_view before, std::string_view now);
  void zeroise();
  void child_ended(Child& child);
  void timers();
  int wait_ms() const;
  void pet();

  // ---- stop
  void begin_stop();
  bool advance_stop();
  void publish();
  void publish_metrics();
};

Supervisor::Supervisor(Graph graph, Installation installation, Options options)
    : impl_(std::make_unique<Impl>()) {
  impl_->graph = std::move(graph);
  impl_->installation = std::move(installation);
  impl_->options = std::move(options);
  for (const auto id : impl_->installation.left_out) impl_->graph.leave_out(id);
}
Supervisor::~Supervisor() = default;

// ----------------------------------------------------------------------------------------------
// start

Status Supervisor::Impl::take_over_stderr() {
  const int echo = options.foreground ? ::fcntl(2, F_DUPFD_CLOEXEC, 4) : -1;
  log = std::make_unique<LogFile>(installation.run_dir + "/log", echo);
  KEYWARD_CHECK(log->open());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
    return fail(ErrorKind::kExhausted, "cannot make a pipe", errno);
  own_output = UniqueFd(ends[0]);
  ::dup2(ends[1], 2);
  ::close(ends[1]);
  return {};
}

// What a task sends on it reads from files: a receiver that is slow or gone holds up nobody.
Status Supervisor::Impl::open_spool() {
  const auto reader =
      std::ranges::find_if(children, [](const auto& child) { return child->spec().reads_spool; });
  if (reader == children.end()) return {};
  syslog::SpoolOptions wanted{installation.state_root + "/spool", installation.spool_bytes_max, {}};
  if (own_uids) wanted.reader = (*reader)->status().uid;
  KEYWARD_TRY(opened, syslog::SpoolWriter::open(std::move(wanted), system_clock().utc_ms()));
  spool = std::move(opened);
  log->set_tap([this](std::string_view task, std::string_view text) {
    spool->line(task, text, system_clock().utc_ms());
  });
  return {};
}

Status Supervisor::Impl::prepare() {
  take_low_descriptors();
  own_uids = ::geteuid() == 0 && installation.separate_uids;
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  signals = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return fail(ErrorKind::kExhausted, "cannot make a signal descriptor", errno);
  // With user ids of their own the tasks must reach their directories below.
  KEYWARD_CHECK(make_directories(installation.run_dir, 0755));
  KEYWARD_CHECK(make_directories(installation.state_root, own_uids ? 0711 : 0700));
  for (const auto& spec : graph.tasks) {
    const unsigned uid = own_uids ? installation.uid_base + spec.uid_offset : ::geteuid();
    KEYWARD_CHECK(
        prepare_state_directory(installation.state_root + "/" + spec.name, own_uids, uid));
    children.push_back(std::make_unique<Child>(spec, uid));
  }
  status.supervisor_pid = ::getpid();
  status.started_utc_ms = system_clock().utc_ms();
  status.isolation = isolation_texts();
  KEYWARD_CHECK(take_over_stderr());
  // A disk that is full must not keep a CA from starting.
  if (const auto opened = open_spool(); !opened)
    log::error("no spool: nothing is sent on", opened.error());
  return {};
}

void Supervisor::Impl::say_isolation() {
  if (own_uids) {
    status.isolation.emplace_back("a user id for each task");
    return;
  }
  const std::string why = ::geteuid() != 0 ? "it was not started by root"
                                           : "the installation file says separate_uids = false";
  status.reduced_isolation.push_back(
      "all tasks share user id " + std::to_string(::geteuid()) + ": " + why +
      "; Landlock, where the kernel has it, is all that guards their files");
  for (const auto& text : status.reduced_isolation)
    log::warning("isolation is reduced", {{"how", text}});
}

Child* Supervisor::Impl::find(TaskId id) {
  const auto found =
      std::ranges::find_if(children, [id](const auto& child) { return child->spec().id == id; });
  return found == children.end() ? nullptr : found->get();
}

// A fresh pair for every edge that touches a starting task. Ends of live peers are theirs to be
// re-plumbed; an end for a task that is down is dropped: it gets its own when it starts.
EndsByTask Supervisor::Impl::make_ends(const std::vector<Child*>& wanted) {
  EndsByTask out;
  const auto starts = [&](TaskId id) {
    return std::ranges::any_of(wanted, [id](const Child* child) { return child->spec().id == id; });
  };
  for (const auto& edge : graph.edges) {
    if (!starts(edge.from) && !starts(edge.to)) continue;
    auto pair = task::make_channel();
    if (!pair) {
      log::error("cannot plumb an edge", pair.error());
      continue;
    }
    out[edge.from].push_back({{edge.to, false}, std::move(pair->first)});
    out[edge.to].push_back({{edge.from, true}, std::move(pair->second)});
  }
  return out;
}

void Supervisor::Impl::start(const std::vector<Child*>& wanted) {
  EndsByTask ends = make_ends(wanted);
  for (Child* child : wanted) {
    start_one(*child, std::move(ends[child->spec().id]));
    ends.erase(child->spec().id);
  }
  for (auto& [id, list] : ends) {
    Child* live = find(id);
    if (live == nullptr || !live->alive()) continue;
    for (const auto& end : list) {
      const int fd = end.fd.get();
      const auto sent = task::send_frame(live->process().control.get(),
                                         wire::encode_frame(0, wire::ControlPeer{end.peer}),
                                         std::span(&fd, 1), Deadline{});
      if (!sent) kill_child(*live, "it does not read its control socket");
    }
  }
}

std::vector<std::string> Supervisor::Impl::environment() const {
  std::vector<std::string> out{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TSS2_LOG=all+none"};
  if (const char* level = ::getenv("KEYWARD_LOG"))
    out.push_back(std::string("KEYWARD_LOG=") + level);
  out.insert(out.end(), installation.environment.begin(), installation.environment.end());
  return out;
}

void Supervisor::Impl::start_one(Child& child, std::vector<End> ends) {
  const TaskSpec& spec = child.spec();
  Launch request;
  request.executable = options.bin_dir + "/" + spec.executable;
  request.name = spec.executable;
  request.environment = environment();
  const std::string state_dir = installation.state_root + "/" + spec.name;
  request.profile = {spec.files_max,
                     spec.threads_max,
                     own_uids,
                     child.status().uid,
                     installation.sandbox.network(spec.name),
                     {}};
  request.profile.files =
      file_rules(installation, spec.name, request.executable, installation.task_configs[spec.id]);
  request.environment.push_back("TMPDIR=" + state_dir);
  auto process = launch(request);
  if (!process) {
    log::error("cannot start a task", process.error(), {{"name", spec.name}});
    child.could_not_start(process.error().what, now_ms());
    return;
  }
  wire::ControlStart frame;
  frame.task = spec.id;
  frame.config = installation.task_configs[spec.id] + installation.sandbox.section(spec.name);
  std::vector<int> descriptors;
  for (const auto& end : ends) {
    frame.peers.push_back(end.peer);
    descriptors.push_back(end.fd.get());
  }
  const auto sent = task::send_frame(process->control.get(), wire::encode_frame(0, frame),
                                     descriptors, Deadline{});
  log::info("task started", {{"name", spec.name}, {"pid", process->pid}});
  child.started(std::move(*process), now_ms());
  // It may have died already (exec failed); its end will be seen and counted.
  if (!sent) log::error("cannot send the start frame", sent.error(), {{"name", spec.name}});
}

// ----------------------------------------------------------------------------------------------
// watch

void Supervisor::Impl::read_signal() {
  signalfd_siginfo info{};
  while (::read(signals.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) continue;  // a closed terminal is no reason to stop a CA
    log::info("stopping", {{"signal", static_cast<int>(info.ssi_signo)}});
    begin_stop();
  }
}

bool Supervisor::Impl::read_lines(int fd, LineCollector& lines) {
  char chunk[8192];
  for (std::size_t total = 0; total < limits::kLogBytesPerTurnMax;) {
    const ssize_t got = ::read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    lines.take({chunk, static_cast<std::size_t>(got)}, *log);
    total += static_cast<std::size_t>(got);
  }
  return true;
}

void Supervisor::Impl::read_output(Child& child) {
  if (!child.process().output) return;
  if (!read_lines(child.process().output.get(), child.lines())) child.process().output.reset();
}

// False: the frame is none that a task may send.
bool Supervisor::Impl::take_frame(Child& child, const task::ReceivedFrame& frame) {
  const auto opened = wire::open_frame(frame.bytes);
  if (!opened) return false;
  switch (opened->head.type) {
    case wire::MessageType::kControlReady: {
      auto ready = wire::decode_body<wire::ControlReady>(opened->body);
      if (!ready) return false;
      child.status().layers = std::move(ready->layers);
      child.ready(now_ms());
      return true;
    }
    case wire::MessageType::kControlHeartbeat:
      if (!wire::decode_body<wire::ControlHeartbeat>(opened->body)) return false;
      child.heard(now_ms());
      return true;
    case wire::MessageType::kControlState: {
      auto report = wire::decode_body<wire::ControlState>(opened->body);
      if (!report) return false;
      child.heard(now_ms());
      const std::string before = std::exchange(child.status().state, std::move(report->state));
      child.status().detail = std::move(report->detail);
      if (child.spec().id == TaskId::kPlatform) obey_platform(before, child.status().state);
      return true;
    }
    case wire::MessageType::kControlMetrics: {
      auto report = wire::decode_body<wire::ControlMetrics>(opened->body);
      if (!report) return false;
      child.heard(now_ms());
      return metrics.take(child.spec().name, std::move(*report), now_ms());
    }
    default:
      return false;
  }
}

// The platform task holds the PIN: what it says about the tamper input is believed. A signer that has
// the PIN loses it with its memory.
void Supervisor::Impl::obey_platform(std::string_view before, std::string_view now) {
  if (now == before) return;
  if (now == "tampered") {
    Child* signer = find(TaskId::kSigner);
    if (signer != nullptr) kill_child(*signer, "the unit was opened: the signer loses the PIN");
  }
  if (now != "zeroise" || stopping) return;
  log::error("the tamper input orders it: everything secret is destroyed");
  zeroising = true;
  for (auto& child : children) kill_child(*child, "zeroise");
}

// Once everything has ended. The tasks then start again and say that nothing is there.
void Supervisor::Impl::zeroise() {
  if (std::ranges::any_of(children, [](const auto& child) { return child->alive(); })) return;
  const auto done = zeroise::destroy({installation.state_root, installation.zeroise_also, false,
                                      "tamper", system_clock().utc_ms()});
  zeroising = false;
  spool.reset();  // its files are gone
  if (log) log->set_tap({});
  if (const auto opened = open_spool(); !opened) log::error("no spool", opened.error());
  if (!done) return log::error("not destroyed", done.error());
  log::error("destroyed", {{"files", done->files}, {"octets", done->octets}});
  for (const auto& path : done->failed) log::error("not destroyed", {{"path", path}});
  for (auto& child : children) {
    const auto prepared = prepare_state_directory(
        installation.state_root + "/" + child->spec().name, own_uids, child->status().uid);
    if (!prepared) log::error("no state directory", prepared.error());
  }
}

void Supervisor::Impl::read_control(Child& child) {
  for (int i = 0; i < limits::kFramesPerTurnMax; ++i) {
    const auto readable = task::wait_readable(child.process().control.get(), 0);
    if (!readable || !*readable) return;
    auto frame = task::receive_frame(child.process().control.get(), 0);
    if (!frame && frame.error().kind == ErrorKind::kUnavailable) {
      child.control_lost(now_ms());
      return;
    }
    if (!frame || !take_frame(child, *frame)) {
      kill_child(child, "it sent the supervisor what no task sends");
      return;
    }
  }
}

void Supervisor::Impl::kill_child(Child& child, std::string_view why) {
  if (!child.alive()) return;
  log::error("killing a task", {{"name", child.spec().name}, {"why", why}});
  send_signal(child.process(), SIGKILL);
  child.killed();
}

void Supervisor::Impl::child_ended(Child& child) {
  const Ending ending = reap(child.process());
  read_output(child);
  child.lines().finish(*log);
  metrics.forget(child.spec().name);
  const bool expected = child.phase() == TaskPhase::kStopping;
  child.ended(ending, now_ms(), stopping);
  if (expected) {
    log::info("task stopped", {{"name", child.spec().name}, {"how", ending.text()}});
    return;
  }
  log::error(
      "task ended",
      {{"name", child.spec().name}, {"how", ending.text()}, {"next", to_string(child.phase())}});
}

void Supervisor::Impl::timers() {
  const auto now = now_ms();
  std::vector<Child*> restart;
  for (auto& child : children) {
    if (!child->due_ms() || *child->due_ms() > now) continue;
    switch (child->phase()) {
      case TaskPhase::kStarting:
      case TaskPhase::kReady:
      case TaskPhase::kStopping:
        kill_child(*child, child->overdue());
        break;
      case TaskPhase::kWaiting:
      case TaskPhase::kFailed:
        if (stopping || zeroising) break;
        ++child->status().restarts;
        restart.push_back(child.get());
        break;
      case TaskPhase::kStopped:
        break;
    }
  }
  if (!restart.empty()) start(restart);
}

void Supervisor::Impl::pet() {
  if (options.watchdog == nullptr || now_ms() < next_pet_ms) return;
  if (const auto done = options.watchdog->pet(); !done)
    log::error("cannot pet the watchdog", done.error());
  next_pet_ms = now_ms() + installation.watchdog_timeout_s * 1000LL / 3;
}

int Supervisor::Impl::wait_ms() const {
  std::int64_t next = std::max(now_ms(), next_metrics_ms);
  for (const auto& child : children) {
    if (child->due_ms() && !zeroising) next = std::min(next, *child->due_ms());
  }
  if (options.watchdog != nullptr) next = std::min(next, next_pet_ms);
  return static_cast<int>(std::max<std::int64_t>(0, next - now_ms()));
}

// Output before control before end: the last words of a task come before the news of its death.
void Supervisor::Impl::turn(const std::vector<pollfd>& entries, const std::vector<Child*>& owners) {
  if (entries[0].revents != 0) read_signal();
  if (entries[1].revents != 0) read_own_output();
  for (std::size_t i = 0; i < owners.size(); ++i) {
    const pollfd* fds = &entries[2 + i * 3];
    Child& child = *owners[i];
    if (fds[0].revents != 0) read_output(child);
    if (fds[1].revents != 0) read_control(child);
    if (fds[2].revents != 0) child_ended(child);
  }
}

int Supervisor::Impl::loop() {
  while (true) {
    std::vector<pollfd> entries{{signals.get(), POLLIN, 0}, {own_output.get(), POLLIN, 0}};
    std::vector<Child*> owners;
    for (auto& child : children) {
      if (!child->alive()) continue;
      Process& process = child->process();
      owners.push_back(child.get());
      entries.push_back(
          {process.output ? process.output.get() : -1, POLLIN, 0});  // -1: poll skips it
      entries.push_back({process.control ? process.control.get() : -1, POLLIN, 0});
      entries.push_back({process.pidfd.get(), POLLIN, 0});
    }
    if (::poll(entries.data(), entries.size(), wait_ms()) < 0 && errno != EINTR) return 1;
    turn(entries, owners);
    if (zeroising) zeroise();
    timers();
    pet();
    if (stopping && advance_stop()) break;
    publish();
    publish_metrics();
  }
  publish();
  read_own_output();
  return 0;
}

// ----------------------------------------------------------------------------------------------
// stop

void Supervisor::Impl::begin_stop() {
  if (stopping) return;
  stopping = true;
  status.stopping = true;
  stop_ranks = graph.ranks();
  for (auto& child : children) {
    if (!child->alive()) child->ended(Ending{0, 0}, now_ms(), true);
  }
}

// One rank after the other, the front end first, so that what is under way can still ask uphill.
// True: done.
bool Supervisor::Impl::advance_stop() {
  while (!stop_ranks.empty()) {
    bool waiting = false;
    for (auto& child : children) {
      if (child->spec().rank != stop_ranks.front() || !child->alive()) continue;
      waiting = true;
      if (child->phase() == TaskPhase::kStopping) continue;
      child->stopping(now_ms());
      const auto sent =
          task::send_frame(child->process().control.get(),
                           wire::encode_frame(0, wire::ControlStop{}), {}, Deadline{});
      if (!sent) kill_child(*child, "it does not read its control socket");
    }
    if (waiting) return false;
    stop_ranks.erase(stop_ranks.begin());
  }
  return true;
}

void Supervisor::Impl::publish() {
  const auto before = std::move(status.tasks);
  status.tasks.clear();
  for (std::size_t i = 0; i < children.size(); ++i) {
    status.tasks.push_back(children[i]->status());
    auto& task = status.tasks.back();
    const bool same =
        i < before.size() && before[i].phase == task.phase && before[i].state == task.state;
    task.since_utc_ms = same ? before[i].since_utc_ms : system_clock().utc_ms();
  }
  std::string text = render_status(status);
  if (text == last_status) return;
  if (overall_state(status) == "operational" && last_status.find("{\"state\":\"operational\"") != 0)
    log::info("operational");
  last_status = std::move(text);
  if (const auto written = write_status(installation.run_dir + "/status.json", status); !written) {
    log::error("cannot write the status", written.error());
  }
}

void Supervisor::Impl::publish_metrics() {
  if (now_ms() < next_metrics_ms) return;
  next_metrics_ms = now_ms() + limits::kMetricsSendMs;
  const auto written =
      metrics.write(installation.run_dir + "/metrics.json", status, system_clock().utc_ms());
  if (!written) log::error("cannot write the metrics", written.error());
}

int Supervisor::run() {
  Impl& s = *impl_;
  if (const auto prepared = s.prepare(); !prepared) {
    log::error("the supervisor cannot begin", prepared.error());
    if (s.log) s.read_own_output();
    return 1;
  }
  log::info("supervisor started", {{"pid", ::getpid()}, {"tasks", s.children.size()}});
  s.say_isolation();
  if (s.options.watchdog != nullptr) {
    if (const auto armed = s.options.watchdog->arm(s.installation.watchdog_timeout_s); !armed)
      log::error("cannot arm the watchdog", armed.error());
  }
  std::vector<Child*> all;
  for (auto& child : s.children) all.push_back(child.get());
  s.start(all);
  s.publish();
  const int code = s.loop();
  if (s.options.watchdog != nullptr) {
    if (const auto disarmed = s.options.watchdog->disarm(); !disarmed)
      log::error("cannot disarm the watchdog", disarmed.error());
  }
  log::info("supervisor stopped", {{"code", code}});
  s.read_own_output();
  return code;
}

}  // namespace keyward::supervise
