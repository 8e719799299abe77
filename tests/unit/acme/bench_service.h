// Owns a service on fakes and a client that signs as a real one does. Must not know handlers.
#pragma once

#include <filesystem>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "firmware/acme/service.h"
#include "firmware/jose/jws.h"
#include "tests/unit/acme/fakes.h"

namespace keyward::acme::test {

inline constexpr std::string_view kBase = "https://ca.test:14000";

class TempDir {
 public:
  TempDir() {
    std::string name = "/tmp/keyward-acme-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string header_of(const HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}
// Does some header of this name contain the text?
inline bool has_link(const HttpResponse& response, std::string_view text) {
  for (const auto& [key, value] : response.headers) {
    if (key == "Link" && value.find(text) != std::string::npos) return true;
  }
  return false;
}
inline json::Document json_of(const HttpResponse& response) {
  auto document = json::Document::parse(response.body.empty() ? "{}" : response.body);
  EXPECT_TRUE(document.has_value()) << response.body;
  return std::move(*document);
}
inline std::string text_at(const HttpResponse& response, std::string_view key) {
  return std::string(json_of(response).root().get(key).string());
}
inline std::string code_of(const HttpResponse& response) { return text_at(response, "code"); }
inline std::string type_of(const HttpResponse& response) {
  const auto type = text_at(response, "type");
  constexpr std::string_view kUrn = "urn:ietf:params:acme:error:";
  return type.starts_with(kUrn) ? type.substr(kUrn.size()) : type;
}

// Expects a whole and right problem document.
inline void expect_problem(const HttpResponse& response, int status, std::string_view type,
                           std::string_view code) {
  EXPECT_EQ(response.status, status) << response.body;
  EXPECT_EQ(header_of(response, "Content-Type"), "application/problem+json");
  EXPECT_NE(header_of(response, "Replay-Nonce"), "");
  EXPECT_EQ(header_of(response, "Cache-Control"), "no-store");
  EXPECT_EQ(type_of(response), type) << response.body;
  EXPECT_EQ(code_of(response), code) << response.body;
  EXPECT_NE(text_at(response, "detail"), "");
  EXPECT_EQ(json_of(response).root().get("status").integer(), status);
}

// Waits until `ready`, without sleeping for luck: each look is at a state that another thread
// changes.
inline bool eventually(const std::function<bool()>& ready, std::int64_t ms = 15'000) {
  const auto deadline = Deadline::after_ms(ms);
  while (!ready()) {
    if (deadline.passed()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

struct World {
  explicit World(std::function<void(ServiceConfig&)> configure = {})
      : configure_(std::move(configure)) {
    restart();
  }

  // A new life of the task: same store, same state directory.
  void restart() {
    service.reset();
    ServiceConfig config;
    config.base_url = kBase;
    config.state_dir = dir.path();
    config.validation_retry_ms = 5;  // tests do not wait
    if (configure_) configure_(config);
    auto nonces = Nonces::open(dir.path() + "/nonce.key", clock);
    EXPECT_TRUE(nonces.has_value());
    service = std::make_unique<Service>(config, Backend{store, validation, attestation, signer},
                                        clock, std::move(*nonces));
    service->set_state(ApplianceState::kOperational);
  }

  TempDir dir;
  TestClock clock;
  FakeStore store{clock};
  FakeValidation validation;
  FakeAttestation attestation;
  FakeSigner signer{clock};
  std::unique_ptr<Service> service;

 private:
  std::function<void(ServiceConfig&)> configure_;
};

class Client {
 public:
  explicit Client(World& world, crypto::KeyKind kind = crypto::KeyKind::kEcP256)
      : world_(world), key_(*crypto::PrivateKey::generate(kind)) {}
  Client(World& world, crypto::PrivateKey key) : world_(world), key_(std::move(key)) {}

  const crypto::PrivateKey& key() const { return key_; }
  std::string kid;

  std::string nonce() {
    HttpRequest request;
    request.method = "HEAD";
    request.raw_path = "/acme/new-nonce";
    return header_of(world_.service->handle(request), "Replay-Nonce");
  }
  std::string path_of(const std::string& url) const { return url.substr(kBase.size()); }

  HttpRequest signed_request(const std::string& path, const jose::SignRequest& sign) const {
    HttpRequest request;
    request.method = "POST";
    request.raw_path = path;
    request.content_type = "application/jose+json";
    request.body = to_bytes(jose::to_json(*jose::sign(key_, sign)));
    return request;
  }
  jose::SignRequest defaults(const std::string& path, std::string payload) {
    jose::SignRequest sign;
    sign.url = std::string(kBase) + path;
    sign.nonce = nonce();
    if (!kid.empty() && path != "/acme/new-account") sign.kid = kid;
    sign.payload = std::move(payload);
    return sign;
  }
  HttpResponse post(const std::string& path, std::string payload) {
    return world_.service->handle(signed_request(path, defaults(path, std::move(payload))));
  }
  HttpResponse post_url(const std::string& url, std::string payload) {
    return post(path_of(url), std::move(payload));
  }
  HttpResponse read(const std::string& url) { return post(path_of(url), ""); }

  void register_account() {
    const auto response = post("/acme/new-account", R"({"termsOfServiceAgreed":true})");
    ASSERT_TRUE(response.status == 201 || response.status == 200) << response.body;
    kid = header_of(response, "Location");
  }
  std::string account_id() const { return kid.substr(kid.rfind('/') + 1); }

  // An order for one identifier; the URLs of what belongs to it.
  struct Order {
    std::string url, authz, challenge, finalize, ticket;
  };
  Order new_order(std::string_view type, std::string_view value) {
    const auto response =
        post("/acme/new-order", R"({"identifiers":[{"type":")" + std::string(type) +
                                    R"(","value":")" + std::string(value) + R"("}]})");
    EXPECT_EQ(response.status, 201) << response.body;
    Order order;
    order.url = header_of(response, "Location");
    order.ticket = order.url.substr(order.url.rfind('/') + 1);
    order.finalize = text_at(response, "finalize");
    const auto document = json_of(response);
    order.authz = std::string(document.root().get("authorizations").items().at(0).string());
    const auto authz = read(order.authz);
    order.challenge =
        std::string(json_of(authz).root().get("challenges").items().at(0).get("url").string());
    return order;
  }
  Order ready_device_order(std::string_view device) {
    auto order = new_order("permanent-identifier", device);
    EXPECT_EQ(post_url(order.challenge, R"({"attObj":"oA"})").status, 200);
    EXPECT_EQ(status_of(order), "ready");
    return order;
  }
  std::string status_of(const Order& order) { return text_at(read(order.url), "status"); }
  std::string csr_payload(std::string_view device) const {
    const auto key = *crypto::PrivateKey::generate(crypto::KeyKind::kEcP256);
    const auto csr =
        x509::build_csr(key, {{wire::IdentifierType::kPermanentIdentifier, std::string(device)}});
    return R"({"csr":")" + base64url_encode(*csr) + R"("})";
  }

 private:
  World& world_;
  crypto::PrivateKey key_;
};

}  // namespace keyward::acme::test
