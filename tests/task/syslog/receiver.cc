#include "tests/task/syslog/receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

namespace keyward::test {
namespace {

constexpr int kPollMs = 50;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

UniqueFd bound(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto address = loopback(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return fd;
}

void reset(int fd) {
  const linger now{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace

Receiver::Receiver() {
  listener_ = bound(0);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
}

Receiver::~Receiver() { stop(); }

void Receiver::start(const ReceiverOptions& options) {
  stop();
  ending_ = false;
  if (!listener_) listener_ = bound(port_);
  ::listen(listener_.get(), 8);
  thread_ = std::thread([this, options] { run(options); });
}

void Receiver::stop() {
  ending_ = true;
  if (thread_.joinable()) {
    thread_.join();
    listener_.reset();
  }
}

bool Receiver::wait_handshakes(int count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return handshakes_ >= count; });
}

std::size_t Receiver::count() const {
  const std::lock_guard lock(mutex_);
  return messages_.size();
}

std::string Receiver::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

void Receiver::run(ReceiverOptions options) {
  SSL_CTX* context = ::SSL_CTX_new(::TLS_server_method());
  ::SSL_CTX_use_certificate_chain_file(context, options.chain_path.c_str());
  ::SSL_CTX_use_PrivateKey_file(context, options.key_path.c_str(), SSL_FILETYPE_PEM);
  if (!options.client_roots_path.empty()) {
    ::SSL_CTX_load_verify_file(context, options.client_roots_path.c_str());
    ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  while (!ending_) {
    pollfd entry{listener_.get(), POLLIN, 0};
    if (::poll(&entry, 1, kPollMs) <= 0) continue;
    const UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (fd) serve(fd.get(), context, options.die_after);
  }
  ::SSL_CTX_free(context);
}

// RFC 5425 section 4.3: MSG-LEN SP SYSLOG-MSG. False: that is no frame.
bool Receiver::take_frames(std::string& buffer) {
  const std::lock_guard lock(mutex_);
  while (true) {
    const auto blank = buffer.find(' ');
    if (blank == std::string::npos) return buffer.size() < 6;
    if (blank == 0 || blank > 5 || buffer[0] == '0' ||
        buffer.substr(0, blank).find_first_not_of("0123456789") != std::string::npos) {
      problem_ = buffer.substr(0, 80);
      return false;
    }
    const auto size = static_cast<std::size_t>(std::stoul(buffer.substr(0, blank)));
    if (buffer.size() < blank + 1 + size) return true;
    messages_.push_back(buffer.substr(blank + 1, size));
    buffer.erase(0, blank + 1 + size);
    changed_.notify_all();
  }
}

void Receiver::serve(int fd, void* context, std::size_t die_after) {
  SSL* ssl = ::SSL_new(static_cast<SSL_CTX*>(context));
  ::SSL_set_fd(ssl, fd);
  const std::size_t before = count();
  std::string buffer;
  if (::SSL_accept(ssl) == 1) {
    {
      const std::lock_guard lock(mutex_);
      ++handshakes_;
      changed_.notify_all();
    }
    while (true) {
      if (ending_ || (die_after != 0 && count() - before >= die_after)) {
        reset(fd);
        break;
      }
      pollfd entry{fd, POLLIN, 0};
      if (::SSL_pending(ssl) == 0 && ::poll(&entry, 1, kPollMs) <= 0) continue;
      char chunk[4'096];
      const int got = ::SSL_read(ssl, chunk, sizeof chunk);
      if (got <= 0) {
        if (::SSL_get_error(ssl, got) == SSL_ERROR_ZERO_RETURN) ::SSL_shutdown(ssl);
        break;
      }
      buffer.append(chunk, static_cast<std::size_t>(got));
      if (!take_frames(buffer)) break;
    }
  } else {
    ++refused_;
    ::ERR_clear_error();
  }
  ::SSL_free(ssl);
}

}  // namespace keyward::test
