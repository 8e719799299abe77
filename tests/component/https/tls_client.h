// Owns a raw TLS client and throw-away server identities for the tests of the HTTPS server. Must
// not know the server.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <openssl/ssl.h>

#include "firmware/acme/http.h"

namespace keyward::https::test {

// A self-signed P-256 identity with this common name.
acme::TlsIdentity make_identity(const std::string& common_name);

struct ClientOptions {
  int version_max = TLS1_3_VERSION;
  int version_min = TLS1_VERSION;
  std::string alpn{};                // wire form; empty: not offered
  std::string source = "127.0.0.1";  // the client's own address
  std::string ciphers{};             // TLS 1.2; empty: OpenSSL's own, at security level 0
  bool plain = false;                // no TLS
};

class Client {
 public:
  explicit Client(std::uint16_t port, const ClientOptions& options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  std::string peer_common_name() const;
  int version() const { return ::SSL_version(ssl_); }
  bool session_was_resumed() const { return ::SSL_session_reused(ssl_) == 1; }
  bool send(std::string_view octets);
  // Reads until one whole response is there (Content-Length or none), the peer closes, or time is
  // over.
  struct Response {
    int status = 0;    // 0: none came
    std::string head;  // status line and headers
    std::string body;
    bool closed = false;  // the peer closed instead of, or while, answering
    bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
  };
  Response receive(bool to_head = false, int timeout_ms = 10'000);
  bool is_closed_by_peer(int timeout_ms = 10'000);  // waits for it

 private:
  bool fill(int timeout_ms);
  int read(char* into, int bytes_max);
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  int fd_ = -1;
  bool connected_ = false;
  bool ended_ = false;
  std::string buffer_;
};

}  // namespace keyward::https::test
