#include "firmware/task/task.h"

#include <algorithm>
#include <map>
#include <mutex>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "firmware/log/log.h"
#include "firmware/metrics/metrics.h"
#include "firmware/sandbox/confine.h"
#include "firmware/task/channel.h"
#include "firmware/wire/messages/control_heartbeat.h"
#include "firmware/wire/messages/control_metrics.h"
#include "firmware/wire/messages/control_peer.h"
#include "firmware/wire/messages/control_ready.h"
#include "firmware/wire/messages/control_start.h"
#include "firmware/wire/messages/control_state.h"
#include "firmware/wire/messages/control_stop.h"
#include "firmware/wire/names.h"

namespace keyward::task {
namespace {

constexpr std::int64_t kHeartbeatMs = 1'000;
constexpr std::int64_t kControlSendMs = 5'000;

[[noreturn]] void die(std::string_view why, const Error& error = {}) {
  log::error(why, error);
  Task::exit(kExitProtocol);
}

}  // namespace

struct Task::Impl {
  wire::TaskId self{};
  std::span<const PeerRule> rules;
  UniqueFd control{kControlFd};
  std::mutex control_mutex;  // one sender at a time, so that frames keep their order
  std::unique_ptr<config::Document> document;
  std::map<wire::TaskId, std::unique_ptr<Peer>> peers;
  std::vector<std::pair<wire::PeerEnd, UniqueFd>>
      waiting_inbound;  // until run(): handlers are not there yet
  Server server;
  std::vector<std::function<void()>> stop_hooks;
  std::vector<std::function<void()>> metrics_hooks;
  Bytes last_metrics;
  std::vector<std::string> layers;  // of isolation that took effect

  const PeerRule& rule_for(const wire::PeerEnd& end) const {
    for (const auto& rule : rules) {
      if (rule.peer == end.task && rule.inbound == end.inbound) return rule;
    }
    die("the supervisor plumbed an edge that is not in the peer table");
  }
  template <class M>
  void send(const M& message) {
    const std::lock_guard lock(control_mutex);
    const auto sent = send_frame(control.get(), wire::encode_frame(0, message), {},
                                 Deadline::after_ms(kControlSendMs));
    if (!sent) die("the supervisor is gone", sent.error());
  }
  // Only what is new: a quiet task has nothing to say.
  void send_metrics() {
    const wire::ControlMetrics report{metrics::snapshot()};
    Bytes frame = wire::encode_frame(0, report);
    if (frame == last_metrics) return;
    last_metrics = std::move(frame);
    send(report);
  }
  void bind(const wire::PeerEnd& end, UniqueFd fd, bool serving) {
    const PeerRule& rule = rule_for(end);
    if (!end.inbound) {
      peers.at(end.task)->rebind(std::move(fd));
    } else if (serving) {
      server.serve(end.task, std::move(fd), rule.threads);
    } else {
      waiting_inbound.emplace_back(end, std::move(fd));
    }
  }
  void take_start() {
    auto frame = receive_frame(control.get(), limits::kTasksMax);
    if (!frame) die("no start frame: a task is started by keyward-supervisor alone", frame.error());
    auto opened = wire::open_frame(frame->bytes);
    if (!opened || opened->head.type != wire::MessageType::kControlStart)
      die("the first frame is not control-start");
    auto start = wire::decode_body<wire::ControlStart>(opened->body);
    if (!start) die("control-start is malformed", start.error());
    if (start->task != self) die("control-start is for another task");
    if (start->peers.size() != frame->descriptors.size())
      die("control-start has not one descriptor per peer");
    document = std::make_unique<config::Document>(config::Document::parse(
        start->config, std::string(wire::to_string(self)) + " configuration"));
    for (std::size_t i = 0; i < start->peers.size(); ++i)
      bind(start->peers[i], std::move(frame->descriptors[i]), false);
  }
  // Every rule has its handlers and every handler its rule: a table that lies is worse than none.
  // The second half of the sandbox, before any thread and any byte of a peer. Without a section
  // [sandbox] (a test is the supervisor) there is no allow list.
  void confine() {
    layers = sandbox::take_inherited_layers();
    auto section = document->root().table("sandbox");
    const bool wanted = section.boolean_or("allow_list", false);
    const auto calls = section.strings_or_empty("calls", limits::kSandboxListMax);
    const bool network = section.boolean_or("network", false);
    const auto require = section.strings_or_empty("require", limits::kLayersMax);
    if (wanted && !sandbox::sanitizer_build()) {
      const auto done = sandbox::allow_only(wire::to_string(self), calls, network);
      if (done) {
        layers.emplace_back(sandbox::kLayerSeccomp);
      } else if (done.error().kind != ErrorKind::kUnavailable) {
        log::error("cannot confine this task", done.error());
        Task::exit(kExitConfig);
      }
    }
    for (const auto& layer : require) {
      if (std::ranges::find(layers, layer) != layers.end()) continue;
      log::error("the board requires isolation that cannot be had", {{"layer", layer}});
      Task::exit(kExitConfig);
    }
  }
  void check_handlers() const {
    std::vector<std::pair<wire::TaskId, wire::MessageType>> wanted;
    for (const auto& rule : rules) {
      if (!rule.inbound) continue;
      for (const auto type : rule.messages) wanted.emplace_back(rule.peer, type);
    }
    std::sort(wanted.begin(), wanted.end());
    if (wanted != server.allowed()) die("handlers and peer table differ");
  }
  // False: control-stop.
  bool take_control() {
    auto frame = receive_frame(control.get(), 1);
    if (!frame && frame.error().kind == ErrorKind::kUnavailable)
      die("the supervisor is gone", frame.error());
    if (!frame) die("a control frame is malformed", frame.error());
    const auto opened = wire::open_frame(frame->bytes);
    if (!opened) die("a control frame is malformed", opened.error());
    if (opened->head.type == wire::MessageType::kControlStop && frame->descriptors.empty())
      return false;
    if (opened->head.type != wire::MessageType::kControlPeer || frame->descriptors.size() != 1)
      die("an unexpected control frame");
    auto peer = wire::decode_body<wire::ControlPeer>(opened->body);
    if (!peer) die("control-peer is malformed", peer.error());
    bind(peer->peer, std::move(frame->descriptors[0]), true);
    return true;
  }
};

Task::Task(wire::TaskId self, std::span<const PeerRule> peers) : impl_(std::make_unique<Impl>()) {
  log::set_task(wire::to_string(self));
  metrics::set_task(wire::to_string(self));
  // No core dump, no ptrace, no /proc/self/mem for others of the same user; exec resets it, hence
  // here.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGINT,
           SIG_IGN);  // a terminal's ^C is for the supervisor, which stops the tasks in order
  impl_->self = self;
  impl_->rules = peers;
  ::fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  for (const auto& rule : peers) {
    if (!rule.inbound) impl_->peers.emplace(rule.peer, std::make_unique<Peer>(rule.peer));
  }
  impl_->take_start();
  impl_->confine();
}

Task::~Task() = default;

config::Section Task::config() { return impl_->document->root(); }
std::string Task::state_dir() { return config().string("state_dir"); }

void Task::finish_config_or_die() {
  const auto problems = impl_->document->finish();
  for (const auto& problem : problems) log::error("configuration", {{"problem", problem}});
  if (!problems.empty()) exit(kExitConfig);
}

Peer& Task::peer(wire::TaskId who) { return *impl_->peers.at(who); }
Server& Task::server() { return impl_->server; }

void Task::report_state(std::string_view state, std::string_view detail) {
  impl_->send(wire::ControlState{std::string(state),
                                 std::string(detail.substr(0, limits::kDetailBytesMax))});
}

void Task::on_stop(std::function<void()> hook) { impl_->stop_hooks.push_back(std::move(hook)); }

void Task::on_metrics(std::function<void()> hook) {
  impl_->metrics_hooks.push_back(std::move(hook));
}

int Task::run() {
  impl_->check_handlers();
  for (auto& [end, fd] : impl_->waiting_inbound)
    impl_->server.serve(end.task, std::move(fd), impl_->rule_for(end).threads);
  impl_->waiting_inbound.clear();
  impl_->send(wire::ControlReady{impl_->layers});
  std::uint64_t beat = 0;
  auto next_beat = Deadline::after_ms(0);
  auto next_metrics = Deadline::after_ms(0);
  while (true) {
    if (next_metrics.passed()) {
      for (const auto& hook : impl_->metrics_hooks) hook();
      impl_->send_metrics();
      next_metrics = Deadline::after_ms(limits::kMetricsSendMs);
    }
    if (next_beat.passed()) {
      impl_->send(wire::ControlHeartbeat{++beat});
      next_beat = Deadline::after_ms(kHeartbeatMs);
    }
    const auto ready = wait_readable(impl_->control.get(), next_beat.remaining_ms());
    if (!ready) die("cannot wait for the supervisor", ready.error());
    if (*ready && !impl_->take_control()) break;
  }
  impl_->server.stop();
  for (const auto& hook : impl_->stop_hooks) hook();
  return 0;
}

void Task::exit(int code) { ::_exit(code); }

bool print_peers(int argc, char** argv, std::span<const PeerRule> peers) {
  if (argc != 2 || std::string_view(argv[1]) != "--print-peers") return false;
  for (const auto& rule : peers) {
    for (const auto type : rule.messages) {
      ::printf("%s %s %s\n", rule.inbound ? "from" : "to",
               std::string(wire::to_string(rule.peer)).c_str(),
               std::string(wire::message_name(type)).c_str());
    }
  }
  return true;
}

}  // namespace keyward::task
