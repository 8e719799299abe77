// Owns the client side of RFC 8555's transport: directory, nonces, signed requests, retries,
// problem documents. Must not know TPMs or what is enrolled.
//
// Retries by itself until `patience_ms` is over: no connection, badNonce, 429 and 503 (after
// Retry-After), other 5xx. Each try is signed anew with a fresh nonce. Threads: one.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "firmware/agent/failure.h"
#include "firmware/agent/http_transport.h"
#include "firmware/crypto/crypto.h"
#include "hal/base/clock.h"

namespace keyward::agent {

struct Directory {
  std::string new_nonce;
  std::string new_account;
  std::string new_order;
  std::string terms_of_service;  // empty: none
  std::string revoke_cert;
  std::string ak_begin, ak_activate;  // attestation CA (docs/attestation-ca.md); empty: none
};

struct ClientSettings {
  std::string directory_url;
  std::int64_t patience_ms = 120'000;            // for one request, all its retries together
  std::function<void(std::int64_t)> sleep_ms;    // absent: really sleeps
  std::function<void(const std::string&)> note;  // each retry, in words; may be absent
};

class AcmeClient {
 public:
  AcmeClient(HttpTransport& transport, Clock& clock, ClientSettings settings,
             crypto::PrivateKey account_key);

  Outcome<Directory> directory();  // fetched once
  // Finds or makes the account of this key; answers its URL and uses it from then on.
  Outcome<std::string> open_account(bool agree_to_terms);
  void use_account(std::string kid) { kid_ = std::move(kid); }
  // A public document.
  Outcome<HttpReply> fetch(const std::string& url) { return get("GET", url); }
  // Signed with the account; an empty payload is POST-as-GET. Any 2xx.
  Outcome<HttpReply> post(const std::string& url, const std::string& payload);
  std::string key_authorization(std::string_view token) const;
  void wait_ms(std::int64_t ms);
  std::int64_t now_ms() const { return clock_.monotonic_ms(); }

 private:
  Outcome<HttpReply> post_signed(const std::string& url, const std::string& payload, bool with_jwk);
  Outcome<std::string> signed_body(const std::string& url, const std::string& payload,
                                   bool with_jwk, std::string nonce);
  Outcome<HttpReply> get(const std::string& method, const std::string& url);
  Outcome<std::string> take_nonce();
  // Waits before the next try; a Failure if patience would be over.
  Outcome<void> before_retry(std::int64_t give_up_at_ms, int tries,
                             std::optional<std::int64_t> retry_after_ms, const std::string& why);

  HttpTransport& transport_;
  Clock& clock_;
  ClientSettings settings_;
  crypto::PrivateKey key_;
  std::optional<Directory> directory_;
  std::string kid_;
  std::string nonce_;
};

}  // namespace keyward::agent
