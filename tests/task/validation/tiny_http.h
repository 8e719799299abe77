// Owns a little HTTP server on loopback that misbehaves on request. Must not know ACME.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "hal/base/unique_fd.h"

namespace keyward::test {

class TinyHttp {
 public:
  // Writes the whole response to `fd`; returning ends the connection.
  using Handler = std::function<void(const std::string& path, int fd)>;
  TinyHttp(int family, Handler handler,
           std::uint16_t port = 0);  // AF_INET or AF_INET6; 0: the kernel's choice
  ~TinyHttp();
  TinyHttp(const TinyHttp&) = delete;
  TinyHttp& operator=(const TinyHttp&) = delete;
  bool listening() const { return port_ != 0; }
  std::uint16_t port() const { return port_; }
  int connections() const { return connections_.load(); }

  static void send_text(int fd, const std::string& text);
  static std::string ok(const std::string& body);
  static std::string redirect(const std::string& location);

 private:
  void accept_loop();
  void serve(int fd);
  Handler handler_;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  std::set<int> open_;
  std::vector<std::thread> threads_;
  std::thread accepter_;
};

}  // namespace keyward::test
