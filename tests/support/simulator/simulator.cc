#include "tests/support/simulator/simulator.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "firmware/json/json.h"
#include "hal/base/rng.h"
#include "hal/base/unique_fd.h"

namespace keyward::test {

std::string keyward_binary(const std::string& name) {
  const char* folder = ::getenv("KEYWARD_BIN");
  return std::string(folder != nullptr ? folder : "build/release/bin") + "/" + name;
}

namespace {

// A free port below the range from which the kernel takes clients' ports (ip_local_port_range), and
// not the simulator's default: it must still be free when the test takes the simulator down and up
// again.
int quiet_port() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const Bytes random = random_bytes(2);
    const int port = 20'000 + (random[0] << 8 | random[1]) % 12'000;
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      return port;
  }
  return 0;
}

}  // namespace

Simulator::Simulator(std::vector<std::string> up_options, SimFolder folder) {
  std::string path = "/tmp/keyward-system-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return;
  ::chmod(path.c_str(), folder == SimFolder::kShared ? 0755 : 0700);
  parent_ = path;
  dir_ = path + "/sim";
  std::vector<std::string> words{"up", "--port", std::to_string(quiet_port())};
  words.insert(words.end(), up_options.begin(), up_options.end());
  const auto up = run(words);
  output_ = up.output;
  started_ = up.status == 0;
  if (!started_) return;
  std::istringstream lines(run({"env"}).output);
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find("='");
    if (!line.starts_with("export ") || equals == std::string::npos || !line.ends_with('\''))
      continue;
    env_[line.substr(7, equals - 7)] = line.substr(equals + 2, line.size() - equals - 3);
  }
}

Simulator::~Simulator() {
  if (dir_.empty()) return;
  if (started_) expect_no_secret_shown();
  (void)run({"down"});
  std::error_code ignored;
  std::filesystem::remove_all(parent_, ignored);
}

// Whatever a test did, and however it was refused: nothing secret stands in what people are shown.
void Simulator::expect_no_secret_shown() {
  SecretScan scan = kept_;
  scan.gather(dir_);
  for (const auto& finding : scan.in_folder(dir_ + "/run")) ADD_FAILURE() << finding;
}

std::string Simulator::env(const std::string& name) const {
  const auto found = env_.find(name);
  return found == env_.end() ? std::string() : found->second;
}

CommandResult Simulator::run(std::vector<std::string> words) const {
  const bool down = !words.empty() && words.front() == "down";
  words.insert(words.begin(), keyward_binary("keyward-sim"));
  words.insert(words.end(), {"--dir", dir_});
  auto result = run_command(words);
  if (down) expect_no_sanitizer_report();
  return result;
}

// A task that a sanitizer ended is started again, and most tests would not notice.
void Simulator::expect_no_sanitizer_report() const {
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator(dir_ + "/run", ignored)) {
    std::ifstream log(file.path());
    for (std::string line; std::getline(log, line);) {
      if (line.find("Sanitizer: ") == line.npos && line.find("runtime error: ") == line.npos)
        continue;
      for (std::string more; line.size() < 8'000 && std::getline(log, more);) line += "\n" + more;
      ADD_FAILURE() << line;
      return;
    }
  }
}

Result<SimDevice> Simulator::device(const std::string& name) const {
  const auto made = run({"device", name, "--json"});
  const auto line = made.output.find('{');
  if (made.status != 0 || line == std::string::npos)
    return fail(ErrorKind::kUnavailable, "keyward-sim device failed");
  auto text = made.output.substr(line);
  text = text.substr(0, text.find('\n'));
  KEYWARD_TRY(document, json::Document::parse(text));
  const auto member = [&](std::string_view key) {
    return std::string(document.root().get(key).string());
  };
  SimDevice out{member("identifier"), member("tcti"), 0, member("ak_chain")};
  out.ak_handle =
      static_cast<std::uint32_t>(std::strtoul(member("ak_handle").c_str(), nullptr, 16));
  return out;
}

namespace {

std::optional<json::Document> status_of(const Simulator& simulator) {
  const auto status = simulator.run({"status", "--json"});
  const auto start = status.output.find('{');
  if (start == std::string::npos) return std::nullopt;
  auto document =
      json::Document::parse(status.output.substr(start, status.output.find('\n', start) - start));
  if (!document) return std::nullopt;
  return std::move(*document);
}

}  // namespace

int Simulator::pid_of(const std::string& task) const {
  const auto document = status_of(*this);
  if (!document) return 0;
  if (task == "supervisor")
    return static_cast<int>(document->root().get("supervisor_pid").integer());
  for (const auto& item : document->root().get("tasks").items()) {
    if (item.get("name").string() == task) return static_cast<int>(item.get("pid").integer());
  }
  return 0;
}

std::string Simulator::state() const {
  const auto document = status_of(*this);
  return document ? std::string(document->root().get("state").string()) : std::string();
}

}  // namespace keyward::test
