// Owns the steps. Must not know single tests.
#include "tests/system/extensions/kit.h"

#include <poll.h>

#include "firmware/x509/csr.h"
#include "hal/base/clock.h"
#include "tests/support/dns_server/dns_server.h"

namespace keyward::test {
namespace {

constexpr int kLookMs = 40;
constexpr int kNonceTriesMax = 3;

}  // namespace

crypto::PrivateKey fresh_key() {
  return must(crypto::PrivateKey::generate(crypto::KeyKind::kEcP256));
}

std::string jwk_of(const crypto::PrivateKey& key) {
  return must(jose::Jwk::from_public_key(key.public_key())).canonical();
}

json::Document json_of(const HttpReply& reply) {
  auto document = json::Document::parse(reply.body);
  if (document) return std::move(*document);
  ADD_FAILURE() << "no JSON in the answer " << reply.status << ": " << reply.body;
  return must(json::Document::parse("{}"));
}

std::string text_at(const HttpReply& reply, std::string_view member) {
  return std::string(json_of(reply).root().get(member).string());
}

void expect_problem(const HttpReply& reply, int status, std::string_view type,
                    std::string_view code) {
  EXPECT_EQ(reply.status, status) << reply.body;
  EXPECT_EQ(reply.header("content-type"), "application/problem+json");
  EXPECT_EQ(text_at(reply, "type"), "urn:ietf:params:acme:error:" + std::string(type))
      << reply.body;
  EXPECT_EQ(text_at(reply, "code"), code) << reply.body;
}

bool eventually(const std::function<bool()>& condition, std::int64_t timeout_ms) {
  const auto deadline = Deadline::after_ms(timeout_ms);
  while (!condition()) {
    if (deadline.passed()) return false;
    ::poll(nullptr, 0, kLookMs);
  }
  return true;
}

// ---- the client

Client::Client(const Simulator& simulator, crypto::PrivateKey account_key,
               const std::string& directory_url)
    : key(std::move(account_key)) {
  const auto own = simulator.env("KEYWARD_DIRECTORY");
  origin_ = own.substr(0, own.find('/', 8));
  http_ = std::make_unique<TlsClient>(origin_.substr(8), simulator.env("KEYWARD_CA_FILE"));
  directory_ = get(directory_url.empty() ? own : directory_url).body;
}

std::string Client::path_of(const std::string& url) const {
  return url.starts_with(origin_) ? url.substr(origin_.size()) : url;
}

void Client::keep_nonce(const HttpReply& reply) {
  if (auto fresh = reply.header("replay-nonce"); !fresh.empty()) nonce_ = std::move(fresh);
}

HttpReply Client::get(const std::string& url, std::string_view method) {
  auto reply = must(http_->request(method, path_of(url), "", ""));
  keep_nonce(reply);
  return reply;
}

HttpReply Client::post_form(const std::string& url, const std::string& body) {
  return must(http_->request("POST", path_of(url), "application/x-www-form-urlencoded", body));
}

HttpReply Client::post_as(const crypto::PrivateKey& signer, const std::string& by,
                          const std::string& url, const std::string& payload) {
  for (int attempt = 0;; ++attempt) {
    if (nonce_.empty()) (void)get(url_of("newNonce"), "HEAD");
    jose::SignRequest request{url, std::exchange(nonce_, {}), std::nullopt, payload};
    if (!by.empty()) request.kid = by;
    const auto jws = must(jose::sign(signer, request));
    auto reply =
        must(http_->request("POST", path_of(url), "application/jose+json", jose::to_json(jws)));
    keep_nonce(reply);
    const bool again = reply.body.find(":badNonce\"") != std::string::npos;
    if (!again || attempt >= kNonceTriesMax) return reply;
  }
}

HttpReply Client::new_account(const std::string& more) {
  return post_as(key, "", url_of("newAccount"), R"({"termsOfServiceAgreed":true)" + more + "}");
}

void Client::sign_up(const std::string& more) {
  const auto reply = new_account(more);
  ASSERT_EQ(reply.status, 201) << reply.body;
  kid = reply.header("location");
}

HttpReply Client::change_key(const crypto::PrivateKey& to) {
  jose::SignRequest inner;
  inner.url = url_of("keyChange");
  inner.payload = R"({"account":")" + kid + R"(","oldKey":)" + jwk_of(key) + "}";
  return post(inner.url, jose::to_json(must(jose::sign(to, inner))));
}

std::string Client::url_of(std::string_view resource) const {
  const auto document = must(json::Document::parse(directory_));
  return std::string(document.root().get(resource).string());
}

Digest256 Client::thumbprint() const {
  return must(jose::Jwk::from_public_key(key.public_key())).thumbprint();
}

// ---- orders

std::string identifier_json(std::string_view type, std::string_view value,
                            const std::string& more) {
  return R"({"type":")" + std::string(type) + R"(","value":")" + std::string(value) + "\"" + more +
         "}";
}

HttpReply order_names(Client& client, const std::vector<std::string>& names,
                      const std::string& more) {
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ",") + identifier_json("dns", name);
  return client.post(client.url_of("newOrder"), R"({"identifiers":[)" + list + "]" + more + "}");
}

HttpReply authz_of(Client& client, const HttpReply& order, std::size_t number) {
  const auto document = json_of(order);
  const auto urls = document.root().get("authorizations").items();
  if (number < urls.size()) return client.read(std::string(urls[number].string()));
  ADD_FAILURE() << "no such authorization in " << order.body;
  return {};
}

Challenge challenge_in(const HttpReply& authz, std::string_view type) {
  const auto document = json_of(authz);
  for (const auto& item : document.root().get("challenges").items()) {
    if (item.get("type").string() != type) continue;
    return {std::string(item.get("url").string()), std::string(item.get("token").string()),
            std::string(item.get("status").string())};
  }
  ADD_FAILURE() << "no challenge " << type << " in " << authz.body;
  return {};
}

void prove_authz(Client& client, DnsServer& dns, const HttpReply& authz) {
  const auto document = json_of(authz);
  const std::string name(document.root().get("identifier").get("value").string());
  const auto challenge = challenge_in(authz, "dns-01");
  const auto digest =
      crypto::sha256(view_of(jose::key_authorization(challenge.token, client.thumbprint())));
  const auto owner = "_acme-challenge." + name;
  dns.remove(owner, dns::kTxt);
  dns.add(owner, dns::kTxt, dns::txt(base64url_encode(digest)));
  const auto answer = client.post(challenge.url, "{}");
  ASSERT_EQ(answer.status, 200) << answer.body;
  std::string status = text_at(answer, "status");
  EXPECT_TRUE(eventually([&] {
    if (status == "processing") status = text_at(client.read(challenge.url), "status");
    return status == "valid" || status == "invalid";
  }));
  EXPECT_EQ(status, "valid") << client.read(challenge.url).body;
}

void prove(Client& client, DnsServer& dns, const HttpReply& order) {
  ASSERT_EQ(order.status, 201) << order.body;
  const auto count = json_of(order).root().get("authorizations").items().size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto authz = authz_of(client, order, i);
    if (text_at(authz, "status") == "pending") prove_authz(client, dns, authz);
  }
}

std::string csr_for(const crypto::PrivateKey& key, const std::vector<std::string>& names) {
  std::vector<wire::Identifier> identifiers;
  for (const auto& name : names) identifiers.push_back({wire::IdentifierType::kDns, name});
  return base64url_encode(must(x509::build_csr(key, identifiers)));
}

HttpReply finalize(Client& client, const HttpReply& order, const std::string& csr_b64) {
  auto reply = client.post(text_at(order, "finalize"), R"({"csr":")" + csr_b64 + "\"}");
  if (reply.status != 200) return reply;
  const auto url = order.header("location");
  EXPECT_TRUE(eventually([&] {
    if (text_at(reply, "status") == "processing") reply = client.read(url);
    return text_at(reply, "status") != "processing";
  }));
  return reply;
}

std::string enrol(Client& client, DnsServer& dns, const std::vector<std::string>& names,
                  const crypto::PrivateKey& key, const std::string& more) {
  const auto order = order_names(client, names, more);
  prove(client, dns, order);
  const auto done = finalize(client, order, csr_for(key, names));
  EXPECT_EQ(text_at(done, "status"), "valid") << done.body;
  if (text_at(done, "certificate").empty()) return "";
  const auto chain = client.read(text_at(done, "certificate"));
  EXPECT_EQ(chain.status, 200) << chain.body;
  return chain.body;
}

// ---- external account binding

CommandResult keywardctl(std::vector<std::string> words) {
  words.insert(words.begin(), keyward_binary("keywardctl"));
  return run_command(words);
}

EabCredential add_eab(const Simulator& simulator, const std::vector<std::string>& options) {
  std::vector<std::string> words{"eab", "add", simulator.dir() + "/state/attestation", "--json"};
  words.insert(words.end(), options.begin(), options.end());
  const auto made = keywardctl(words);
  EXPECT_EQ(made.status, 0) << made.output;
  const auto document = must(json::Document::parse(made.output));
  return {std::string(document.root().get("kid").string()),
          std::string(document.root().get("key").string())};
}

std::string binding_json(const EabCredential& credential, const crypto::PrivateKey& account_key,
                         const std::string& url) {
  const auto header = base64url_encode(
      view_of(R"({"alg":"HS256","kid":")" + credential.kid + R"(","url":")" + url + "\"}"));
  const auto payload = base64url_encode(view_of(jwk_of(account_key)));
  const auto mac =
      crypto::hmac(crypto::HashAlgorithm::kSha256, must(base64url_decode(credential.key)),
                   view_of(header + "." + payload));
  return R"({"protected":")" + header + R"(","payload":")" + payload + R"(","signature":")" +
         base64url_encode(mac) + "\"}";
}

// ---- the appliance

std::vector<std::string> up_options(const std::vector<std::string>& settings) {
  std::vector<std::string> out{"--quiet", "--patience", "30"};
  for (const auto& line : settings) {
    out.push_back("--set");
    out.push_back(line);
  }
  return out;
}

void restart(const Simulator& simulator, const std::vector<std::string>& settings) {
  ASSERT_EQ(simulator.run({"down"}).status, 0);
  auto words = up_options(settings);
  words.insert(words.begin(), "up");
  const auto up = simulator.run(words);
  ASSERT_EQ(up.status, 0) << up.output;
}

}  // namespace keyward::test
