// Owns a small blocking HTTPS/1.1 client for tests and load: one keep-alive connection, one request
// at a time. Must not know ACME. Loopback only, by construction of its callers. Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/base/result.h"

namespace keyward::test {

struct HttpReply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string header(std::string_view lower_case_name) const;  // "" if absent
};

class TlsClient {
 public:
  // `authority` is host:port as in the directory URL; `ca_file` PEM, or "" to trust any.
  // `source`: the client's own IPv4 address, or "" for the kernel's choice.
  TlsClient(std::string authority, const std::string& ca_file, const std::string& source = {});
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  // Connects when there is no connection, and once again when a kept one turns out to be closed.
  // kUnavailable: cannot connect, handshake failed, or closed in the middle.
  Result<HttpReply> request(std::string_view method, std::string_view path,
                            std::string_view content_type, std::string_view body);
  void disconnect();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace keyward::test
