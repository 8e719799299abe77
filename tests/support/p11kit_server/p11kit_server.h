// Owns a `p11-kit server` child: an HSM in another process, which can be killed. Must not know what
// is behind it or what is tested. A failure ends the test program.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace keyward::test {

class P11KitServer {
 public:
  // `environment` is for the server (SOFTHSM2_CONF); `socket_path` must be short (108 octets).
  P11KitServer(std::string provider, std::string socket_path,
               std::vector<std::pair<std::string, std::string>> environment);
  ~P11KitServer();
  P11KitServer(const P11KitServer&) = delete;
  P11KitServer& operator=(const P11KitServer&) = delete;

  static std::string client_module_path();                             // p11-kit-client.so
  std::string address() const { return "unix:path=" + socket_path_; }  // P11_KIT_SERVER_ADDRESS

  void start();   // returns when the socket accepts
  void kill();    // kill -9 of the server and of its child per connection
  void freeze();  // SIGSTOP: it is there and answers nothing
  void thaw();

 private:
  std::string provider_;
  std::string socket_path_;
  std::vector<std::pair<std::string, std::string>> environment_;
  pid_t pid_ = -1;  // and its process group
};

}  // namespace keyward::test
