// Owns what the tests of the whole protocol share: two running appliances (one that takes anybody,
// one that wants an account binding), what clients' names answer, a client that can write any JWS,
// and a picture of everything that a request could have changed. Must not know single tests.
// Threads: one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "firmware/crypto/crypto.h"
#include "firmware/json/json.h"
#include "tests/support/acme_client/tls_client.h"
#include "tests/support/dns_server/dns_server.h"
#include "tests/support/simulator/simulator.h"

namespace keyward::test {

template <class T>
T must(Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().what;
  return std::move(*result);
}

inline constexpr std::string_view kTerms = "https://terms.plant.example/1";
inline constexpr std::string_view kHelp = "https://help.plant.example/limits";

crypto::PrivateKey fresh_key();
std::string jwk_of(const crypto::PrivateKey& key);
json::Document json_of(const HttpReply& reply);
std::string text_at(const HttpReply& reply, std::string_view member);
bool eventually(const std::function<bool()>& condition, std::int64_t timeout_ms = 20'000);

// A TCP server on loopback that answers everything with the same wrong page.
class WrongServer {
 public:
  WrongServer();
  ~WrongServer();
  WrongServer(const WrongServer&) = delete;
  WrongServer& operator=(const WrongServer&) = delete;
  int port() const { return port_; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int port_ = 0;
};

struct Stage {
  explicit Stage(bool wants_binding);
  DnsServer dns;
  WrongServer wrong;
  std::unique_ptr<Simulator> simulator;
  json::Document directory;
  std::string url_of(std::string_view resource) const {
    return std::string(directory.root().get(resource).string());
  }
  std::uintmax_t ledger_bytes() const;
};
// Started when first asked for, taken down at the end of the program.
Stage& open_stage();
Stage& binding_stage();

// A request of which everything can be changed. What is left out is as it should be.
struct Draft {
  std::string url;      // where it goes
  std::string payload;  // "": POST-as-GET
  std::optional<std::string> header_url, kid, jwk, nonce, alg, payload_b64, content_type;
  bool without_nonce = false, without_key = false;
  std::string more_header;                       // members, JSON
  const crypto::PrivateKey* signer = nullptr;    // else the client's
  std::function<std::string(std::string)> body;  // changes what was written
};

struct Order {
  std::string url, finalize;
  std::vector<std::string> authorizations;
  std::string body;
};
struct Challenge {
  std::string url, token;
};

class Client {
 public:
  // kNone: no account yet.
  enum class Account { kNone, kMade };
  explicit Client(Stage& stage, Account account = Account::kMade);

  Stage& stage;
  crypto::PrivateKey key;
  std::string kid;

  std::string nonce();                                    // the latest that came, or a new one
  std::string last_nonce() const { return last_nonce_; }  // of the latest request
  HttpReply send(std::string_view method, const std::string& url);
  HttpReply send(const Draft& draft);
  HttpReply post(const std::string& url, const std::string& payload);
  HttpReply read(const std::string& url) { return post(url, ""); }
  HttpReply new_account(const std::string& payload);

  std::string fresh_name();  // within the installation's tree
  HttpReply new_order(const std::string& payload);
  Order order(const std::string& payload);
  Order order_for(const std::string& name) { return order(names_payload({name})); }
  static std::string names_payload(const std::vector<std::string>& names,
                                   const std::string& more_members = {});
  Challenge challenge(const std::string& authz_url, std::string_view type);
  void put_txt(const std::string& name, const Challenge& challenge);
  // Polls while it is processing.
  HttpReply settled(const std::string& url);
  void prove(const Order& order);  // by dns-01
  Order ready_order();             // of a fresh name
  HttpReply finalize(const Order& order, const std::vector<std::string>& names = {});
  std::string status_of(const std::string& url) { return text_at(read(url), "status"); }
  // Of the certificate of a valid order: the leaf.
  Bytes leaf(const Order& order);
  Bytes issued();  // order, proof, finalize, download
  std::string name_of(const Order& order);

  // Account, orders, authorizations, and the ledger's size, as text to compare.
  std::string picture();

 private:
  HttpReply exchange(std::string_view method, const std::string& url, std::string_view type,
                     const std::string& body);
  std::string path_of(const std::string& url) const;
  std::unique_ptr<TlsClient> http_;
  std::string origin_, nonce_, last_nonce_;
};

// What every refusal has (RFC 8555 §6.5, §6.7, §7.1); that the nonce is good is seen when it is used.
void expect_problem(const HttpReply& reply, int status, std::string_view type,
                    std::string_view code = {});
bool has_link(const HttpReply& reply, std::string_view relation, std::string_view target = {});
std::string csr_payload(const crypto::PrivateKey& key, const std::vector<std::string>& names);
std::string revoke_payload(const Bytes& certificate, std::optional<int> reason = {});
Bytes first_certificate(const std::string& pem);

}  // namespace keyward::test
