// Owns the TLS settings of the server and the identity it shows. Must not know HTTP or civetweb.
//
// TLS 1.2 is the floor, 1.3 preferred; forward-secret AEAD suites alone (RFC 9325). No session is
// ever resumed: each handshake shows the identity that is current, and no ticket key lies in
// memory. Threads: set_identity from any thread, while handshakes run.
#pragma once

#include <functional>
#include <memory>

#include "firmware/acme/http.h"
#include "hal/base/bytes.h"
#include "hal/base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace keyward::https {

// Clients are known by their keys, not by a chain: an operator's certificate may be self-signed,
// and no clock is asked (the client proves possession of the key in the handshake).
struct ClientKeys {
  std::function<bool(ByteView spki_der)> is_known;  // empty: clients are not asked; any thread
  bool required = true;                             // false: a client may also show none
};

class TlsContext {
 public:
  static Result<std::unique_ptr<TlsContext>> create(ClientKeys clients = {});
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Shown by every handshake that starts after the call. Until the first call every handshake
  // fails. Errors: kBadInput (PEM, no certificate, key and certificate do not belong together).
  Status set_identity(const acme::TlsIdentity& identity);
  bool has_identity() const;

  // SubjectPublicKeyInfo of the client's certificate; empty when it showed none.
  static Bytes client_key(const ssl_st* connection);

  ssl_ctx_st* native() const;  // owned by this object

 private:
  struct Impl;
  explicit TlsContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace keyward::https
