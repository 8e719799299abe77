#include "apps/sim/inspect.h"

#include <cstdio>
#include <iostream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/sim/keeper.h"
#include "apps/sim/readiness.h"
#include "apps/sim/settings.h"
#include "firmware/json/json.h"
#include "hal/base/file.h"

namespace keyward::simulator {
namespace {

constexpr int kExitDegraded = 1;
constexpr int kExitStopped = 3;
constexpr std::size_t kStatusBytesMax = 262'144;

void print_table(const json::Value& status) {
  std::printf("%-12s %-9s %8s %6s %9s  %s\n", "task", "phase", "pid", "uid", "restarts", "state");
  for (const auto& task : status.get("tasks").items()) {
    const std::string detail(task.get("detail").string());
    std::printf("%-12s %-9s %8lld %6lld %9lld  %s%s\n",
                std::string(task.get("name").string()).c_str(),
                std::string(task.get("phase").string()).c_str(),
                static_cast<long long>(task.get("pid").integer()),
                static_cast<long long>(task.get("uid").integer()),
                static_cast<long long>(task.get("restarts").integer()),
                std::string(task.get("state").string()).c_str(),
                detail.empty() ? "" : (": " + detail).c_str());
  }
  for (const auto& task : status.get("tasks").items()) {
    std::printf("isolation of %s:", std::string(task.get("name").string()).c_str());
    for (const auto& layer : task.get("layers").items())
      std::printf(" %s", std::string(layer.string()).c_str());
    std::printf("\n");
  }
  for (const auto& text : status.get("reduced_isolation").items())
    std::printf("isolation is reduced: %s\n", std::string(text.string()).c_str());
}

bool wanted(const std::string& line, const std::string& task) {
  return task.empty() || line.find("task=" + task + " ") != std::string::npos;
}

// Follows the file through rotations.
class LogReader {
 public:
  explicit LogReader(std::string path) : path_(std::move(path)) {}
  // Prints what is new.
  void print(const std::string& task) {
    if (!fd_) fd_ = UniqueFd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd_) return;
    drain(task);
    struct stat mine {
    }, named{};
    if (::fstat(fd_.get(), &mine) == 0 && ::stat(path_.c_str(), &named) == 0 &&
        mine.st_ino != named.st_ino) {
      drain(task);
      fd_.reset();
    }
  }

 private:
  void drain(const std::string& task) {
    char chunk[65'536];
    for (ssize_t got = 0; (got = ::read(fd_.get(), chunk, sizeof chunk)) > 0;) {
      for (const char c : std::string_view(chunk, static_cast<std::size_t>(got))) {
        if (c != '\n') {
          line_ += c;
          continue;
        }
        if (wanted(line_, task)) std::cout << line_ << '\n';
        line_.clear();
      }
    }
    std::cout.flush();
  }
  std::string path_;
  std::string line_;
  UniqueFd fd_;
};

}  // namespace

int show_status(const Places& places, bool as_json) {
  const bool running = is_running(places);
  const auto text = running ? read_status(places) : std::nullopt;
  const auto settings = load_settings(places);
  if (!running || !settings) {
    if (as_json) {
      std::cout << json::Writer()
                       .begin_object()
                       .member("state", "stopped")
                       .member("dir", places.root)
                       .end_object()
                       .take()
                << "\n";
    } else {
      std::cout << "stopped (" << places.root << ")\n";
    }
    return kExitStopped;
  }
  const auto document = json::Document::parse(
      text.value_or("{\"state\":\"starting\",\"tasks\":[]}"), kStatusBytesMax);
  if (!document) return kExitDegraded;
  const auto status = document->root();
  const std::string state(status.get("state").string());
  if (as_json) {
    json::Writer out;
    out.begin_object()
        .member("dir", places.root)
        .member("directory", base_url(*settings) + "/acme/directory");
    for (const auto key : status.keys()) out.key(key).raw(status.get(key).print());
    std::cout << out.end_object().take() << "\n";
  } else {
    std::cout << state << ": " << base_url(*settings) << "/acme/directory (" << places.root
              << ")\n";
    std::cout.flush();
    print_table(status);
    std::fflush(stdout);
  }
  return state == "operational" ? 0 : kExitDegraded;
}

int show_logs(const Places& places, const std::string& task, bool follow) {
  if (!file_exists(places.log())) {
    std::cerr << "keyward-sim: there is no log yet\n";
    return 1;
  }
  LogReader reader(places.log());
  reader.print(task);
  while (follow && std::cout) {
    ::usleep(200'000);
    reader.print(task);
  }
  return 0;
}

int show_environment(const Places& places) {
  const auto settings = load_settings(places);
  if (!settings || settings->port == 0) {
    std::cerr << "keyward-sim: it was never up\n";
    return 1;
  }
  const auto line = [](const char* name, const std::string& value) {
    std::cout << "export " << name << "='" << value << "'\n";
  };
  line("KEYWARD_SIM_DIR", places.root);
  line("KEYWARD_DIRECTORY", base_url(*settings) + "/acme/directory");
  line("KEYWARD_CA_FILE", places.root_certificate());
  if (const auto url = public_url(*settings); !url.empty()) line("KEYWARD_PUBLIC_HTTP", url);
  line("KEYWARD_HTTP01_PORT", std::to_string(settings->http_port));
  line("LEGO_CA_CERTIFICATES", places.root_certificate());
  return 0;
}

}  // namespace keyward::simulator
