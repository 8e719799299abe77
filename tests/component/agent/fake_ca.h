// Owns an ACME CA in memory that appraises statements for real, and a make-believe manufacturer of
// devices. Fails at the nth exchange as asked. Must not know the agent's inside. Threads: one.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "firmware/agent/http_transport.h"
#include "firmware/attest/device_attest.h"
#include "firmware/crypto/crypto.h"
#include "firmware/x509/certificate.h"

namespace keyward::agent::test {

// Gives attestation keys their certificates.
class Manufacturer {
 public:
  Manufacturer();
  const x509::Certificate& anchor() const { return *anchor_; }
  Bytes certify_ak(const crypto::PublicKey& ak, const std::string& permanent_identifier) const;

 private:
  std::optional<crypto::PrivateKey> key_;
  std::optional<x509::Certificate> anchor_;
};

enum class Trouble { kNone, kNotConnected, kAnswerLost, kUnavailable503, kBadNonce };

class FakeCa final : public HttpTransport {
 public:
  explicit FakeCa(const Manufacturer& manufacturer);
  Result<HttpReply> exchange(const std::string& method, const std::string& url,
                             const std::string& body) override;
  std::string last_error_text() const override { return "connection refused"; }

  // Exchange number `at` (from 0, counted from this call) meets this trouble.
  void trouble_at(int at, Trouble trouble);
  int exchanges() const { return exchanges_; }

  static constexpr const char* kDirectoryUrl = "https://ca.test/acme/directory";
  std::string terms;         // of service
  int processing_polls = 0;  // how often an order says "processing" after finalize
  bool offers_device_attest = true;
  bool certifies_other_key = false;
  int bad_nonces = 0;  // answer this many POSTs with badNonce

  int accounts_made = 0;
  int orders_made = 0;
  int certificates_issued = 0;
  int not_fresh_nonces = 0;  // a nonce was used twice: must stay 0
  std::vector<crypto::PublicKey> issued_keys;
  std::string last_refusal_code;
  void forget_everything();  // the database was replaced

 private:
  struct Order {
    std::string kid, identifier, token, status = "pending", certificate_pem, spki;
    int polls_left = 0;
  };
  HttpReply answer(const std::string& method, const std::string& url, const std::string& body);
  HttpReply post(const std::string& url, const std::string& body);
  HttpReply new_account(const crypto::PublicKey& key, const Bytes& payload);
  HttpReply new_order(const std::string& kid, const Bytes& payload);
  HttpReply challenge(Order& order, const std::string& id, const Bytes& payload);
  HttpReply finalize(Order& order, const std::string& id, const Bytes& payload);
  HttpReply show(const Order& order, const std::string& id) const;
  HttpReply problem(int status, const std::string& type, const std::string& detail) const;

  const Manufacturer& manufacturer_;
  crypto::PrivateKey key_;
  std::map<std::string, crypto::PublicKey> accounts_;  // by URL
  std::map<std::string, Order> orders_;                // by id
  std::set<std::string> nonces_;
  int exchanges_ = 0;
  int trouble_at_ = -1;
  int serial_ = 0;
  Trouble trouble_ = Trouble::kNone;
};

}  // namespace keyward::agent::test
