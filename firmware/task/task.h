// Owns the life of a task process: start frame, configuration, peers, heartbeat, orderly stop. Must
// not know what the task does.
//
// A task's main():
//   if (print_peers(argc, argv, kPeers)) return 0;
//   Task task(TaskId::kStore, kPeers);   // blocks for the start frame on descriptor 3
//   auto config = task.config();         // this task's section; read, then finish_config_or_die()
//   task.server().on<wire::AccountPut>(TaskId::kAcme, ...);
//   task.finish_config_or_die();
//   return task.run();                   // ready, heartbeat, re-plumbing, until stop
// `run()` returns 0 after control-stop; call on_stop() hooks run before. End with task.exit(code),
// which is _exit: at-exit handlers of foreign libraries crash (field notes, PKCS#11).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "firmware/config/config.h"
#include "firmware/task/peer.h"
#include "firmware/task/server.h"
#include "firmware/wire/types.h"

namespace keyward::task {

inline constexpr int kControlFd = 3;
inline constexpr int kExitProtocol = 70;  // a peer sent what it must not
inline constexpr int kExitConfig = 78;    // the configuration is wrong: restarting does not help

// One line of a peer table: who may send what here, or whom this task asks for what.
struct PeerRule {
  wire::TaskId peer;
  bool inbound;                                 // true: the peer asks, this task answers
  std::span<const wire::MessageType> messages;  // request types
  int threads = 1;                              // that serve this peer (inbound)
};

class Task {
 public:
  Task(wire::TaskId self, std::span<const PeerRule> peers);
  ~Task();

  config::Section config();      // root of this task's section
  void finish_config_or_die();   // prints every problem and exits kExitConfig if there is one
  Peer& peer(wire::TaskId who);  // an outbound peer of the table
  Server& server();
  std::string state_dir();  // config key "state_dir": this task's own directory (mode 0700)

  void report_state(std::string_view state,
                    std::string_view detail);  // any thread; to `keyward-sim status`
  void on_stop(std::function<void()> hook);
  // Before run(): called in the main loop before each report of metrics, to set gauges; must not block.
  void on_metrics(std::function<void()> hook);
  int run();
  [[noreturn]] static void exit(int code);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// `--print-peers`: prints the table (a test compares it with tasks.toml) and answers true: main
// returns 0.
bool print_peers(int argc, char** argv, std::span<const PeerRule> peers);

}  // namespace keyward::task
