#include "tests/support/acme_client/tls_client.h"

#include <algorithm>
#include <cctype>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "hal/base/unique_fd.h"

namespace keyward::test {
namespace {

constexpr std::size_t kReplyBytesMax = 1u << 20;
constexpr int kTimeoutS = 60;

struct ContextDeleter {
  void operator()(SSL_CTX* c) const { ::SSL_CTX_free(c); }
};
struct SslDeleter {
  void operator()(SSL* s) const { ::SSL_free(s); }
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool bind_to(int fd, const std::string& source) {
  if (source.empty()) return true;
  sockaddr_in own{};
  own.sin_family = AF_INET;
  return ::inet_pton(AF_INET, source.c_str(), &own.sin_addr) == 1 &&
         ::bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0;
}

Result<UniqueFd> connect_tcp(const std::string& host, const std::string& port,
                             const std::string& source) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0)
    return fail(ErrorKind::kUnavailable, "cannot resolve");
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, ::freeaddrinfo);
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    UniqueFd fd(::socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd || !bind_to(fd.get(), source) || ::connect(fd.get(), a->ai_addr, a->ai_addrlen) != 0)
      continue;
    const int one = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const timeval timeout{kTimeoutS, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    return fd;
  }
  return fail(ErrorKind::kUnavailable, "cannot connect");
}

}  // namespace

std::string HttpReply::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

struct TlsClient::Impl {
  std::string authority, host, port, source;
  std::unique_ptr<SSL_CTX, ContextDeleter> context;
  UniqueFd fd;
  std::unique_ptr<SSL, SslDeleter> ssl;
  std::string buffer;

  Status open() {
    KEYWARD_TRY(connected, connect_tcp(host, port, source));
    fd = std::move(connected);
    ssl.reset(::SSL_new(context.get()));
    ::SSL_set_fd(ssl.get(), fd.get());
    ::SSL_set_tlsext_host_name(ssl.get(), host.c_str());
    ::ERR_clear_error();
    if (::SSL_connect(ssl.get()) != 1) {
      close();
      return fail(ErrorKind::kUnavailable, "TLS handshake failed",
                  static_cast<std::int64_t>(::ERR_peek_error()));
    }
    return {};
  }
  void close() {
    ssl.reset();
    fd.reset();
    buffer.clear();
  }
  bool fill() {
    char chunk[16'384];
    const int got = ::SSL_read(ssl.get(), chunk, sizeof chunk);
    if (got <= 0 || buffer.size() + static_cast<std::size_t>(got) > kReplyBytesMax) return false;
    buffer.append(chunk, static_cast<std::size_t>(got));
    return true;
  }
  // RFC 9112 §7.1, without trailers: other servers than ours send it.
  Status read_chunks(std::string& body) {
    while (true) {
      std::size_t end = 0;
      while ((end = buffer.find("\r\n")) == std::string::npos) {
        if (!fill()) return fail(ErrorKind::kUnavailable, "connection closed within a chunk");
      }
      const auto size = std::strtoul(buffer.c_str(), nullptr, 16);
      buffer.erase(0, end + 2);
      while (buffer.size() < size + 2) {
        if (!fill()) return fail(ErrorKind::kUnavailable, "connection closed within a chunk");
      }
      body.append(buffer, 0, size);
      buffer.erase(0, size + 2);
      if (size == 0) return {};
    }
  }
  Result<HttpReply> read_reply(bool has_body) {
    std::size_t end = 0;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!fill()) return fail(ErrorKind::kUnavailable, "connection closed before the reply");
    }
    HttpReply reply;
    const std::string head = buffer.substr(0, end + 2);
    buffer.erase(0, end + 4);
    if (head.size() < 12) return fail(ErrorKind::kBadInput, "no HTTP status line");
    reply.status = std::atoi(head.substr(9, 3).c_str());
    for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
      const auto line_end = head.find("\r\n", at);
      const std::string line = head.substr(at, line_end - at);
      at = line_end + 2;
      const auto colon = line.find(':');
      if (colon == std::string::npos) continue;
      const auto value = line.find_first_not_of(' ', colon + 1);
      reply.headers.emplace_back(lower(line.substr(0, colon)),
                                 value == std::string::npos ? "" : line.substr(value));
    }
    if (has_body && lower(reply.header("transfer-encoding")) == "chunked") {
      KEYWARD_CHECK(read_chunks(reply.body));
      if (lower(reply.header("connection")) == "close") close();
      return reply;
    }
    const auto length =
        static_cast<std::size_t>(std::atoll(reply.header("content-length").c_str()));
    while (has_body && buffer.size() < length) {
      if (!fill()) return fail(ErrorKind::kUnavailable, "connection closed within the reply");
    }
    if (has_body) {
      reply.body = buffer.substr(0, length);
      buffer.erase(0, length);
    }
    if (lower(reply.header("connection")) == "close") close();
    return reply;
  }
};

TlsClient::TlsClient(std::string authority, const std::string& ca_file, const std::string& source)
    : impl_(std::make_unique<Impl>()) {
  ::signal(SIGPIPE,
           SIG_IGN);  // a server that went away is an error of the call, not the end of the test
  const auto colon = authority.rfind(':');
  impl_->host = authority.substr(0, colon);
  impl_->port = authority.substr(colon + 1);
  impl_->authority = std::move(authority);
  impl_->source = source;
  impl_->context.reset(::SSL_CTX_new(::TLS_client_method()));
  if (!ca_file.empty()) {
    ::SSL_CTX_load_verify_locations(impl_->context.get(), ca_file.c_str(), nullptr);
    ::SSL_CTX_set_verify(impl_->context.get(), SSL_VERIFY_PEER, nullptr);
  }
}

TlsClient::~TlsClient() = default;

void TlsClient::disconnect() { impl_->close(); }

Result<HttpReply> TlsClient::request(std::string_view method, std::string_view path,
                                     std::string_view content_type, std::string_view body) {
  std::string text = std::string(method) + " " + std::string(path) +
                     " HTTP/1.1\r\nHost: " + impl_->authority + "\r\nUser-Agent: keyward-test\r\n";
  if (method == "POST") {
    text += "Content-Type: " + std::string(content_type) +
            "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  text += "\r\n";
  text += body;
  for (int attempt = 0;; ++attempt) {
    const bool kept = impl_->ssl != nullptr;
    if (!kept) KEYWARD_CHECK(impl_->open());
    const bool sent = ::SSL_write(impl_->ssl.get(), text.data(), static_cast<int>(text.size())) > 0;
    auto reply = sent ? impl_->read_reply(method != "HEAD")
                      : Result<HttpReply>(fail(ErrorKind::kUnavailable, "connection closed"));
    if (reply) return reply;
    impl_->close();
    if (!kept || attempt > 0) return reply;
  }
}

}  // namespace keyward::test
