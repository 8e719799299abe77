// Owns a TLS server on loopback that answers as a test says, and certificates for it, right or
// wrong. Must not know ACME beyond the acmeIdentifier extension. Threads: the handler runs in the
// server's own thread, one connection at a time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "hal/base/bytes.h"
#include "hal/base/unique_fd.h"

struct ssl_st;

namespace keyward::test {

// A certificate as an answer to tls-alpn-01, each part to be spoiled.
struct TestCertificate {
  std::vector<std::string> names;        // "DNS:host" or "IP:address"; empty: no SAN
  std::optional<Bytes> acme_identifier;  // content of the extension, DER
  bool critical = true;
  bool twice = false;       // the extension stands there two times
  bool self_signed = true;  // else by another key and name
};

struct MadeCertificate {
  std::string pem, key_pem;
  Bytes der;
};
MadeCertificate make_certificate(const TestCertificate& wanted);

class TinyTls {
 public:
  struct Options {
    std::string alpn;       // chosen whatever is offered, if the client offered it; empty: none
    bool tls11 = false;     // speaks TLS 1.1 at most
    bool reject = false;    // alerts no_application_protocol
    bool silent = false;    // accepts and says nothing
    bool starttls = false;  // speaks SMTP in the clear until STARTTLS
  };
  using Handler = std::function<void(ssl_st*)>;
  explicit TinyTls(Handler handler = nullptr);
  ~TinyTls();
  TinyTls(const TinyTls&) = delete;
  TinyTls& operator=(const TinyTls&) = delete;

  // What the connections after this one meet.
  void use(const MadeCertificate& certificate, Options options);
  std::uint16_t port() const { return port_; }
  int connections() const { return connections_; }
  std::string last_sni();
  bool saw_data() const { return data_; }  // octets of an application came

 private:
  static int on_name(ssl_st* ssl, int* alert, void* self);
  void loop();
  void serve(int fd);
  Handler handler_;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stop_{false}, data_{false};
  std::mutex mutex_;
  MadeCertificate certificate_;
  Options options_;
  std::string sni_;
  std::thread thread_;
};

std::string tls_read_line(ssl_st* ssl);  // without its CRLF; empty at the end
void tls_write(ssl_st* ssl, const std::string& text);

}  // namespace keyward::test
