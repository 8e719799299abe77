// Owns the life of the task processes: plumbing, start, watch, restart with back-off, ordered stop.
// Must not know what tasks do; reads no bytes but control frames of its own children and their log
// lines.
//
// One thread, one poll loop, no busy waiting. Source: DESIGN §1.
#pragma once

#include <memory>
#include <string>

#include "firmware/supervise/graph.h"
#include "firmware/supervise/installation.h"
#include "hal/watchdog.h"

namespace keyward::supervise {

struct Options {
  std::string bin_dir;                // absolute
  bool foreground = false;            // log lines on standard error too
  hal::Watchdog* watchdog = nullptr;  // null: none; owned by the caller
};

class Supervisor {
 public:
  Supervisor(Graph graph, Installation installation, Options options);
  ~Supervisor();

  // Starts everything and runs until SIGTERM or SIGINT; then stops the tasks in order. Returns the
  // exit code: 0 after an orderly stop, 1 if it could not begin (the reason is on standard error).
  int run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace keyward::supervise
