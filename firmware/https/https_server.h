// Owns the HTTPS listener: threads, deadlines, the fences around civetweb, and the answer's octets.
// Must not know routes, JSON or ACME. No other folder includes civetweb.
//
// The same listener without TLS (`plain`) is for what anybody may read and what is signed in itself:
// whoever checks a certificate must not need TLS to do so (RFC 5280 §8, RFC 5019 §6).
//
// Each request that passes the fences goes to HttpHandler::handle as a plain value; each that does
// not is answered with HttpHandler::refuse_transport and its connection is closed, because what
// follows on it cannot be told from the refused request. Errors of start(): kBadInput (listen
// address, identity), kUnavailable (the port cannot be bound), kInternal (a civetweb built without
// TLS or IPv6). Threads: set_identity and port from any; start and the destructor from one.
// Sources: RFC 9112, RFC 9110, RFC 8555 §6.1, RFC 9325.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "firmware/acme/http.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"

namespace keyward::https {

struct HttpsOptions {
  std::string listen;              // "127.0.0.1:14000", "[::1]:14000"; port 0: the kernel chooses
  std::vector<std::string> hosts;  // names and addresses the Host header may have; any case
  std::uint16_t public_port = 0;   // the Host header's port; 0: the port listened on
  // HTTP without TLS, also HTTP/1.0, and with any Host or none in it: `hosts` is not used, and
  // set_identity says kBadInput. Stock OCSP clients speak HTTP/1.0 and name whom a URL named.
  bool plain = false;
  // Client certificates by their keys (SubjectPublicKeyInfo, DER). Empty: clients are not asked.
  std::function<bool(ByteView spki_der)> client_key_known{};
  bool client_key_required = true;  // false: a client may also show none
  int connections_max = limits::kHttpConnectionsMax;
  int requests_per_connection_max = limits::kRequestsPerConnectionMax;
  std::int64_t handshake_ms = limits::kTlsHandshakeMs;
  std::int64_t header_ms = limits::kHeaderDeadlineMs;
  std::int64_t idle_ms = limits::kKeepAliveIdleMs;
  std::int64_t body_ms = limits::kBodyDeadlineMs;
  std::int64_t response_ms = limits::kResponseDeadlineMs;
  std::int64_t response_bytes_per_s =
      0;  // a large answer has time for this rate besides; 0: has not
  // Of one client address (an IPv6 /64); 0: no limit of its own.
  int connections_per_address_max = 0;
  std::int64_t connects_per_address_s = 0;  // beyond: the connection is reset
  std::int64_t requests_per_address_s = 0;  // beyond: the answer waits; much beyond: 429
  std::int64_t busy_wait_ms =
      1'000;  // when nearly all workers are taken, connections idle this long are closed
};

class HttpsServer {
 public:
  // `handler` must outlive the server. The server answers handshakes once it has an identity.
  static Result<std::unique_ptr<HttpsServer>> start(const HttpsOptions& options,
                                                    acme::HttpHandler& handler);
  ~HttpsServer();  // answers the requests under way (3 s at most), then cuts; waits for handlers
                   // that run
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;

  Status set_identity(const acme::TlsIdentity& identity);  // kBadInput; the old one stays then
  std::uint16_t port() const;
  std::size_t connections() const;
  // Since the start: what was turned away or held up, and why.
  struct Turned {
    std::uint64_t full = 0;          // no place was left
    std::uint64_t address_full = 0;  // the address had its share of them
    std::uint64_t too_fast = 0;      // the address connects too often
    std::uint64_t displaced = 0;     // lost the place that it waited in
    std::uint64_t paced = 0;         // requests that were made to wait
    std::uint64_t limited = 0;       // requests refused with 429
  };
  Turned turned() const;

  struct Impl;

 private:
  explicit HttpsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace keyward::https
