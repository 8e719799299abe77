// Owns what the tests of ACME's extensions share: a client that may sign anything with any key, an
// appliance with a DNS server of the test's own behind it, and steps that every test goes through.
// Must not know single tests. Failures inside are the test's. Threads: one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "firmware/crypto/crypto.h"
#include "firmware/jose/jws.h"
#include "firmware/json/json.h"
#include "firmware/wire/messages/common.h"
#include "tests/support/acme_client/tls_client.h"
#include "tests/support/simulator/simulator.h"

namespace keyward::test {

class DnsServer;

template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().what;
    std::abort();
  }
  return std::move(*result);
}

crypto::PrivateKey fresh_key();
std::string jwk_of(const crypto::PrivateKey& key);
json::Document json_of(const HttpReply& reply);  // {} and a failure if it is none
std::string text_at(const HttpReply& reply, std::string_view member);
void expect_problem(const HttpReply& reply, int status, std::string_view type,
                    std::string_view code);
bool eventually(const std::function<bool()>& condition, std::int64_t timeout_ms = 15'000);

class Client {
 public:
  // `directory_url` empty: the simulator's own; else a tenant's of the same server.
  explicit Client(const Simulator& simulator, crypto::PrivateKey account_key = fresh_key(),
                  const std::string& directory_url = "");
  HttpReply get(const std::string& url, std::string_view method = "GET");
  HttpReply post_form(const std::string& url, const std::string& body);
  // Signed by `signer`; with `kid` or, if that is empty, with its own key in the header.
  HttpReply post_as(const crypto::PrivateKey& signer, const std::string& kid,
                    const std::string& url, const std::string& payload);
  HttpReply post(const std::string& url, const std::string& payload) {
    return post_as(key, kid, url, payload);
  }
  HttpReply read(const std::string& url) { return post(url, ""); }
  // newAccount with this key; `more` are further members, with a comma in front.
  HttpReply new_account(const std::string& more = "");
  // The same, which must succeed: `kid` is kept.
  void sign_up(const std::string& more = "");
  HttpReply change_key(const crypto::PrivateKey& to);
  std::string url_of(std::string_view resource) const;
  std::string account_id() const { return kid.substr(kid.rfind('/') + 1); }
  Digest256 thumbprint() const;

  crypto::PrivateKey key;
  std::string kid;

 private:
  void keep_nonce(const HttpReply& reply);
  std::string path_of(const std::string& url) const;
  std::string origin_;
  std::unique_ptr<TlsClient> http_;
  std::string directory_;
  std::string nonce_;
};

// ---- orders

std::string identifier_json(std::string_view type, std::string_view value,
                            const std::string& more = "");
// newOrder for names; `more` with a comma in front.
HttpReply order_names(Client& client, const std::vector<std::string>& names,
                      const std::string& more = "");
// One authorization of an order, as it is now.
HttpReply authz_of(Client& client, const HttpReply& order, std::size_t number = 0);
// A challenge's URL and token in an authorization.
struct Challenge {
  std::string url, token, status;
};
Challenge challenge_in(const HttpReply& authz, std::string_view type);
// Answers dns-01 of one pending authorization, and waits until it is valid.
void prove_authz(Client& client, DnsServer& dns, const HttpReply& authz);
// Each pending authorization of the order.
void prove(Client& client, DnsServer& dns, const HttpReply& order);
std::string csr_for(const crypto::PrivateKey& key, const std::vector<std::string>& names);
// Finalizes and waits for the end; the answer to the order (or to finalize, if it was refused).
HttpReply finalize(Client& client, const HttpReply& order, const std::string& csr_b64);
// From the order to the chain.
std::string enrol(Client& client, DnsServer& dns, const std::vector<std::string>& names,
                  const crypto::PrivateKey& key, const std::string& more = "");

// ---- external account binding

struct EabCredential {
  std::string kid, key;
};
EabCredential add_eab(const Simulator& simulator, const std::vector<std::string>& options = {});
// The member's value for newAccount or a recovery by this credential.
std::string binding_json(const EabCredential& credential, const crypto::PrivateKey& account_key,
                         const std::string& url);

CommandResult keywardctl(std::vector<std::string> words);

// ---- the appliance

// `up` options: each text becomes --set.
std::vector<std::string> up_options(const std::vector<std::string>& settings);
// Down and up again with other settings; the client's connection comes back by itself.
void restart(const Simulator& simulator, const std::vector<std::string>& settings);

}  // namespace keyward::test
