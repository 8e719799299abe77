#include "tests/task/validation/tiny_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace keyward::test {
namespace {

constexpr int kPollMs = 50;

}  // namespace

TinyHttp::TinyHttp(int family, Handler handler, std::uint16_t port) : handler_(std::move(handler)) {
  listener_.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener_) return;
  const int one = 1;
  sockaddr_storage address{};
  socklen_t size = 0;
  if (family == AF_INET) {
    auto& in = reinterpret_cast<sockaddr_in&>(address);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons(port);
    size = sizeof in;
  } else {
    ::setsockopt(listener_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    auto& in = reinterpret_cast<sockaddr_in6&>(address);
    in.sin6_family = AF_INET6;
    in.sin6_addr = in6addr_loopback;
    in.sin6_port = htons(port);
    size = sizeof in;
  }
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return;
  if (::listen(listener_.get(), 64) != 0) return;
  ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(family == AF_INET ? reinterpret_cast<sockaddr_in&>(address).sin_port
                                  : reinterpret_cast<sockaddr_in6&>(address).sin6_port);
  accepter_ = std::thread([this] { accept_loop(); });
}

TinyHttp::~TinyHttp() {
  stop_ = true;
  if (accepter_.joinable()) accepter_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (auto& thread : threads_) thread.join();
}

void TinyHttp::accept_loop() {
  while (!stop_) {
    pollfd entry{listener_.get(), POLLIN, 0};
    if (::poll(&entry, 1, kPollMs) <= 0) continue;
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    ++connections_;
    const std::lock_guard lock(mutex_);
    open_.insert(fd);
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void TinyHttp::serve(int fd) {
  std::string request;
  char chunk[2048];
  while (request.find("\r\n\r\n") == std::string::npos && request.size() < 65'536) {
    const ssize_t got = ::recv(fd, chunk, sizeof chunk, 0);
    if (got <= 0) break;
    request.append(chunk, static_cast<std::size_t>(got));
  }
  const auto start = request.find(' ');
  const auto end = request.find(' ', start + 1);
  if (start != std::string::npos && end != std::string::npos)
    handler_(request.substr(start + 1, end - start - 1), fd);
  const std::lock_guard lock(mutex_);
  open_.erase(fd);
  ::close(fd);
}

void TinyHttp::send_text(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t sent = ::send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
    if (sent <= 0) return;
    done += static_cast<std::size_t>(sent);
  }
}

std::string TinyHttp::ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

std::string TinyHttp::redirect(const std::string& location) {
  return "HTTP/1.1 302 Found\r\nLocation: " + location +
         "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
}

}  // namespace keyward::test
