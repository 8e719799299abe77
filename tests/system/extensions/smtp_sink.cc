// Owns the relay's side of the talk. Must not know what the mails say.
#include "tests/system/extensions/smtp_sink.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace keyward::test {
namespace {

constexpr int kPollMs = 50;
constexpr std::size_t kTalkBytesMax = 1u << 20;

bool say(int fd, const std::string& line) {
  const auto text = line + "\r\n";
  return ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

// One line without its end; false when the other side is gone.
bool hear(int fd, std::string& pending, std::string& line) {
  std::size_t end = 0;
  while ((end = pending.find("\r\n")) == std::string::npos) {
    char chunk[4'096];
    const auto got = ::recv(fd, chunk, sizeof chunk, 0);
    if (got <= 0 || pending.size() > kTalkBytesMax) return false;
    pending.append(chunk, static_cast<std::size_t>(got));
  }
  line = pending.substr(0, end);
  pending.erase(0, end + 2);
  return true;
}

}  // namespace

SmtpSink::SmtpSink() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_.get(), 8) != 0 ||
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return;
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { loop(); });
}

SmtpSink::~SmtpSink() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

std::vector<SunkMail> SmtpSink::mails() const {
  const std::lock_guard lock(mutex_);
  return mails_;
}

void SmtpSink::loop() {
  while (!stop_) {
    pollfd waiting{listener_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, kPollMs) <= 0) continue;
    const UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) continue;
    const timeval patience{5, 0};
    ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    serve(connection.get());
  }
}

void SmtpSink::serve(int fd) {
  std::string pending, line;
  SunkMail mail;
  if (!say(fd, "220 sink")) return;
  while (hear(fd, pending, line)) {
    const auto verb = line.substr(0, 4);
    if (verb == "QUIT") {
      (void)say(fd, "221 bye");
      return;
    }
    if (verb == "RCPT") {
      const auto open = line.find('<');
      mail.to = line.substr(open + 1, line.find('>') - open - 1);
    }
    if (verb != "DATA") {
      if (!say(fd, "250 sink")) return;
      continue;
    }
    if (!say(fd, "354 go on")) return;
    while (hear(fd, pending, line) && line != ".") mail.text += line + "\n";
    {
      const std::lock_guard lock(mutex_);
      mails_.push_back(std::move(mail));
    }
    mail = {};
    if (!say(fd, "250 kept")) return;
  }
}

}  // namespace keyward::test
