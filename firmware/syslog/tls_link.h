// Owns one TLS connection to a receiver of RFC 5425: connect, check, write, what was acknowledged,
// farewell. Must not know messages or files.
//
// The receiver's certificate must chain to the configured roots alone and bear the configured name (or
// address) as a subjectAltName; the common name is not looked at. TLS 1.2 with forward secrecy and AEAD
// at least. Nothing the receiver sends is read as anything but the end. Errors: kUnavailable (try
// again later), kRefused (its certificate), kBadInput (our own roots or identity). Threads: one.
#pragma once

#include <memory>
#include <string>

#include "hal/base/clock.h"
#include "hal/base/result.h"

namespace keyward::syslog {

struct TlsLinkConfig {
  std::string host;         // name or address to connect to
  std::string port;         // decimal
  std::string server_name;  // what its certificate must bear
  std::string roots_pem;
  std::string chain_pem, key_pem;  // our own; both empty: none
};

class TlsContext {
 public:
  static Result<std::shared_ptr<TlsContext>> make(const TlsLinkConfig& config);
  ~TlsContext();
  struct Impl;
  explicit TlsContext(std::unique_ptr<Impl> impl);
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

class TlsLink {
 public:
  static Result<std::unique_ptr<TlsLink>> connect(const TlsContext& context);
  ~TlsLink();
  TlsLink(const TlsLink&) = delete;
  TlsLink& operator=(const TlsLink&) = delete;

  Status write(std::string_view octets, Deadline deadline);
  // Waits up to that long for something to happen. kUnavailable: the receiver has closed, or the
  // connection broke.
  Status wait(std::int64_t timeout_ms);
  // Octets on the wire since the connection began, and how many of them the other side's kernel has.
  std::uint64_t written() const;
  std::uint64_t acknowledged() const;
  // close_notify, and waits for the receiver's (RFC 5425 section 4.4). True: it came, so that it has
  // read everything.
  bool farewell(Deadline deadline);

 private:
  struct Impl;
  explicit TlsLink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace keyward::syslog
