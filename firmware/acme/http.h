// Owns the seam between the HTTPS server and ACME: a request and a response as plain values.
// Must not know civetweb, sockets or TLS.
//
// The server has checked before it calls (and answers itself, with a problem document made by
// `transport_problem` below, when the check fails): the HTTP grammar, the header and body
// deadlines, one Content-Length and no Transfer-Encoding, the Host header against the appliance's
// own names, and `limits::kRequestBodyBytesMax`. The handler checks everything that depends on the
// route: method, media type, the route's own body cap, and the JWS. Threads: values.
// `HttpHandler::handle` is called from many threads at once. Source: RFC 8555 §6; RFC 9110; RFC
// 7807.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/base/bytes.h"

namespace keyward::acme {

struct HttpRequest {
  std::string method;        // as sent, case kept: "GET", "HEAD", "POST", ...
  std::string raw_path;      // request target as sent, NOT percent-decoded, query included
  std::string host;          // Host header as sent
  std::string content_type;  // empty when absent
  std::string accept;        // empty when absent
  Bytes body;                // whole body; at most limits::kRequestBodyBytesMax
  std::string peer_address;  // for the log and for rate limits
  Bytes client_key{};  // SubjectPublicKeyInfo of the client's certificate; empty when it has none
  std::string if_none_match{};  // empty when absent
};

struct HttpResponse {
  int status = 500;
  // Everything but Content-Length, Date and Connection, which the server adds (204 and 304 have no
  // body). No header repeats
  // except Link. Values hold no control characters.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // for HEAD already empty; no Content-Length is then needed beyond 0
  // In place of `body`: what is large and the same for many, so that readers who take their time do not
  // hold a copy each. Null: `body` counts.
  std::shared_ptr<const std::string> shared_body{};

  std::string_view content() const { return shared_body ? std::string_view(*shared_body) : body; }
  void clear_body() {
    body.clear();
    shared_body.reset();
  }
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Never throws and always answers. May block for the time of a call to another task
  // (limits::kPeerCallSlowMs at worst).
  virtual HttpResponse handle(const HttpRequest& request) = 0;

  // The body cap of a path in bytes, to be asked before the body is read; 0 when the path takes
  // none. The server answers `refuse_transport(413, ...)` when Content-Length exceeds it.
  virtual std::size_t body_bytes_max(std::string_view method, std::string_view raw_path) const = 0;

  // The answer to a request that the server itself refuses: a problem document with a fresh nonce.
  // status: 400, 408, 411, 413, 421, 429, 431, 501 or 503. `detail` is shown to the client.
  virtual HttpResponse refuse_transport(int status, std::string_view detail) = 0;
};

// The appliance's own TLS identity, handed to the server. The server loads it for every handshake
// that starts after the call; nobody restarts.
struct TlsIdentity {
  std::string chain_pem;  // leaf first, then the intermediates
  std::string key_pem;    // PKCS#8; software P-256
};

}  // namespace keyward::acme
