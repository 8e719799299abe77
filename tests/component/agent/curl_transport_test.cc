// Tests of the agent's HTTPS against the appliance's own HTTPS server.
#include <gtest/gtest.h>

#include "firmware/agent/http_transport.h"
#include "firmware/https/https_server.h"
#include "firmware/x509/certificate.h"
#include "firmware/x509/tbs.h"
#include "hal/base/clock.h"
#include "hal/base/file.h"
#include "tests/support/command/command.h"

namespace keyward::agent {
namespace {

class Handler final : public acme::HttpHandler {
 public:
  acme::HttpResponse handle(const acme::HttpRequest& request) override {
    acme::HttpResponse out;
    out.status = request.raw_path == "/moved" ? 301 : 201;
    out.headers = {{"Replay-Nonce", "abc"},
                   {"Location", "https://127.0.0.1/else"},
                   {"Retry-After", "3"},
                   {"Content-Type", request.content_type}};
    if (request.method == "POST") out.body = "got " + std::string(text_of(request.body));
    if (request.raw_path == "/large") out.body.assign(limits::kAgentReplyBytesMax + 1, 'x');
    return out;
  }
  std::size_t body_bytes_max(std::string_view, std::string_view) const override {
    return limits::kRequestBodyBytesMax;
  }
  acme::HttpResponse refuse_transport(int status, std::string_view) override {
    return {status, {}, "refused"};
  }
};

// A self-signed certificate for these addresses, so that it is its own root.
acme::TlsIdentity identity_for(const std::vector<wire::Identifier>& names) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyKind::kEcP256).value();
  x509::TbsSpec tbs;
  tbs.serial = {1};
  tbs.signature_algorithm = x509::signature_algorithm_der(hal::KeyAlgorithm::kEcdsaP256);
  tbs.issuer_name_der = tbs.subject_name_der = x509::name_der({{"2.5.4.3", "test"}});
  tbs.not_before_ms = system_clock().utc_ms() - 60'000;
  tbs.not_after_ms = tbs.not_before_ms + 3'600'000;
  tbs.spki_der = key.public_key().spki_der();
  tbs.extensions = {x509::ext_basic_constraints(true, std::nullopt),
                    x509::ext_subject_alt_name(names, false).value()};
  const Bytes der = x509::build_tbs(tbs);
  const Bytes signature =
      key.sign(crypto::SignatureScheme::kEcdsa, crypto::HashAlgorithm::kSha256, der).value();
  const auto pem = key.to_pem().value();
  return {
      x509::to_pem("CERTIFICATE", x509::join_certificate(der, tbs.signature_algorithm, signature)),
      std::string(text_of(pem.view()))};
}

class CurlTransportTest : public testing::Test {
 protected:
  void start(const std::vector<wire::Identifier>& names) {
    https::HttpsOptions options;
    options.listen = "127.0.0.1:0";
    options.hosts = {"127.0.0.1"};
    options.connections_max = 4;
    server_ = std::move(https::HttpsServer::start(options, handler_).value());
    const auto identity = identity_for(names);
    ASSERT_TRUE(server_->set_identity(identity));
    ASSERT_TRUE(replace_file(directory_.path("ca.pem"), view_of(identity.chain_pem), 0600));
    transport_ = std::move(make_curl_transport(directory_.path("ca.pem")).value());
  }
  std::string url(const std::string& path) {
    return "https://127.0.0.1:" + std::to_string(server_->port()) + path;
  }
  static std::vector<wire::Identifier> loopback() {
    return {{wire::IdentifierType::kIp, "127.0.0.1"}};
  }

  keyward::test::TempDir directory_;
  Handler handler_;
  std::unique_ptr<https::HttpsServer> server_;
  std::unique_ptr<HttpTransport> transport_;
};

TEST_F(CurlTransportTest, Post_HeadersAndBody_Arrive) {
  start(loopback());
  const auto reply = transport_->exchange("POST", url("/p"), "{}");
  ASSERT_TRUE(reply) << transport_->last_error_text();
  EXPECT_EQ(reply->status, 201);
  EXPECT_EQ(reply->body, "got {}");
  EXPECT_EQ(reply->content_type, "application/jose+json");
  EXPECT_EQ(reply->replay_nonce, "abc");
  EXPECT_EQ(reply->location, "https://127.0.0.1/else");
  EXPECT_EQ(reply->retry_after_ms, 3'000);
}

TEST_F(CurlTransportTest, HeadAfterPost_IsStillAHead_OnOneConnection) {
  start(loopback());
  ASSERT_TRUE(transport_->exchange("POST", url("/p"), "x"));
  const auto head = transport_->exchange("HEAD", url("/n"), "");
  ASSERT_TRUE(head) << transport_->last_error_text();
  EXPECT_TRUE(head->body.empty());
  ASSERT_TRUE(transport_->exchange("GET", url("/d"), ""));
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(CurlTransportTest, Redirect_IsNotFollowed) {
  start(loopback());
  const auto reply = transport_->exchange("GET", url("/moved"), "");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 301);
}

TEST_F(CurlTransportTest, Reply_TooLarge_IsExhausted) {
  start(loopback());
  const auto reply = transport_->exchange("GET", url("/large"), "");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, ErrorKind::kExhausted);
}

TEST_F(CurlTransportTest, Url_NotHttps_IsBadInput) {
  start(loopback());
  for (const char* other : {"http://127.0.0.1/", "file:///etc/passwd", ""}) {
    const auto reply = transport_->exchange("GET", other, "");
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind, ErrorKind::kBadInput);
  }
}

TEST_F(CurlTransportTest, Server_OfAnotherRoot_IsRefused) {
  start(loopback());
  ASSERT_TRUE(server_->set_identity(identity_for(loopback())));  // not the one in ca.pem
  const auto reply = transport_->exchange("GET", url("/"), "");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, ErrorKind::kUnavailable);
  EXPECT_FALSE(transport_->last_error_text().empty());
}

TEST_F(CurlTransportTest, Server_OfAnotherName_IsRefused) {
  start({{wire::IdentifierType::kDns, "other.example"}});
  EXPECT_FALSE(transport_->exchange("GET", url("/"), ""));
}

TEST_F(CurlTransportTest, Server_Away_IsUnavailable) {
  start(loopback());
  const std::string gone = url("/");
  server_.reset();
  const auto reply = transport_->exchange("GET", gone, "");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace keyward::agent
