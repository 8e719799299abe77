// keyward-supervisor: reads the graph and the installation, starts the tasks and keeps them. Wiring
// alone; it must never read a byte from a network nor hold a key (DESIGN §1).
#include <filesystem>
#include <iostream>

#include <CLI/CLI.hpp>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board/compose.h"
#include "firmware/log/log.h"
#include "firmware/supervise/supervisor.h"
#include "firmware/task/task.h"

namespace {

using namespace keyward;

std::string own_directory() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

bool show(const std::vector<std::string>& problems) {
  for (const auto& problem : problems) std::cerr << "keyward-supervisor: " << problem << "\n";
  return !problems.empty();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Starts Keyward's tasks from an installation file and keeps them running.",
               "keyward-supervisor"};
  std::string config_path;
  std::string tasks_path = own_directory() + "/tasks.toml";
  supervise::Options options;
  bool check_only = false;
  app.add_option("config", config_path, "Installation file (keyward.toml)")->required();
  app.add_option("--tasks", tasks_path, "The process graph")->capture_default_str();
  app.add_flag("--foreground", options.foreground, "Write log lines to standard error too");
  app.add_flag("--check", check_only, "Check both files and exit");
  app.footer("Exit status: 0 stopped in order, 1 cannot begin, 78 a file is wrong.");
  CLI11_PARSE(app, argc, argv);

  ::umask(022);  // the run directory is for all to read; what is secret has its own mode
  log::set_task("supervisor");
  auto graph = supervise::load_graph(tasks_path);
  if (show(graph.problems)) return task::kExitConfig;
  auto loaded = supervise::load_installation(config_path, graph.graph);
  if (show(loaded.problems)) return task::kExitConfig;
  if (check_only) return 0;

  options.bin_dir =
      loaded.installation.bin_dir.empty() ? own_directory() : loaded.installation.bin_dir;
  auto watchdog = board::make_watchdog(loaded.installation.watchdog);
  if (!watchdog) {
    std::cerr << "keyward-supervisor: no watchdog: " << watchdog.error().what << "\n";
    return 1;
  }
  options.watchdog = watchdog->get();
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  return supervise::Supervisor(std::move(graph.graph), std::move(loaded.installation), options)
      .run();
}
