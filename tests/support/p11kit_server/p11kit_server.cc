// Owns a `p11-kit server` child. Must not know what is behind it or what is tested.
#include "tests/support/p11kit_server/p11kit_server.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hal/base/clock.h"
#include "hal/base/unique_fd.h"

extern char** environ;

namespace keyward::test {
namespace {

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "P11KitServer: %s\n", what);
  std::abort();
}

bool accepts(const std::string& path) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) die("the socket path is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

P11KitServer::P11KitServer(std::string provider, std::string socket_path,
                           std::vector<std::pair<std::string, std::string>> environment)
    : provider_(std::move(provider)),
      socket_path_(std::move(socket_path)),
      environment_(std::move(environment)) {}

P11KitServer::~P11KitServer() { kill(); }

std::string P11KitServer::client_module_path() {
  for (const char* path : {"/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
                           "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
                           "/usr/lib64/pkcs11/p11-kit-client.so"})
    if (std::filesystem::exists(path)) return path;
  die("p11-kit-client.so is not installed");
}

void P11KitServer::start() {
  if (pid_ > 0) return;
  std::filesystem::remove(socket_path_);
  std::vector<std::string> words = {"p11-kit", "server", "--provider", provider_,
                                    "-f",      "-n",     socket_path_, "pkcs11:"};
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment_) variables.push_back(name + "=" + value);
  for (char** at = environ; *at != nullptr; ++at) variables.emplace_back(*at);  // ours come first
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (auto& word : words) argv.push_back(word.data());
  for (auto& variable : variables) envp.push_back(variable.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  const int failed =
      ::posix_spawnp(&pid_, argv[0], &actions, &attributes, argv.data(), envp.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) die("p11-kit cannot be started");
  const auto deadline = Deadline::after_ms(10'000);
  while (!accepts(socket_path_)) {
    if (deadline.passed()) die("the server does not accept");
    ::usleep(2'000);
  }
}

void P11KitServer::kill() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);  // the group it leads: a child serves each connection
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void P11KitServer::freeze() { ::kill(-pid_, SIGSTOP); }
void P11KitServer::thaw() { ::kill(-pid_, SIGCONT); }

}  // namespace keyward::test
