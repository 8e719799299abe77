// Owns the seam between the ACME client and HTTP. Must not know ACME. Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "hal/base/result.h"

namespace keyward::agent {

struct HttpReply {
  int status = 0;
  std::string body;  // at most limits::kAgentReplyBytesMax
  std::string content_type;
  std::string location;
  std::string replay_nonce;
  std::optional<std::int64_t> retry_after_ms;  // from delta-seconds; an HTTP date counts as absent
};

class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  // method: HEAD, GET, or POST (then as application/jose+json). Errors: kUnavailable (no
  // connection, TLS refused, time-out), kExhausted (the reply is too large), kBadInput (URL that is
  // not https). last_error_text() says more in words.
  virtual Result<HttpReply> exchange(const std::string& method, const std::string& url,
                                     const std::string& body) = 0;
  virtual std::string last_error_text() const = 0;
};

// Over libcurl: https only, TLS 1.2 or better, peer and host verified against `ca_file` alone
// (empty: the system's roots), no redirects (RFC 8555 URLs are exact), no proxy, connections kept.
Result<std::unique_ptr<HttpTransport>> make_curl_transport(const std::string& ca_file);

}  // namespace keyward::agent
