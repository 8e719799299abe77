// Tests of the listener without TLS from outside: what stock clients of lists and OCSP send, and that
// the places, paces and deadlines are those of HTTPS.
#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/https/https_server.h"
#include "hal/base/clock.h"

#include "tls_client.h"

namespace keyward::https {
namespace {

using test::Client;
using test::ClientOptions;
using testing::HasSubstr;

// Answers with what it saw, or with so many octets.
class Echo : public acme::HttpHandler {
 public:
  acme::HttpResponse handle(const acme::HttpRequest& request) override {
    ++handled;
    acme::HttpResponse out;
    out.status = request.if_none_match == "\"1\"" ? 304 : 200;
    out.headers = {{"ETag", "\"1\""}};
    if (shared) out.shared_body = shared;
    out.body = big == 0 ? "saw " + request.method + " " + request.raw_path + " of " + request.host +
                              " " + std::to_string(request.body.size())
                        : std::string(big, 'x');
    return out;
  }
  std::size_t body_bytes_max(std::string_view method, std::string_view) const override {
    return method == "POST" ? 16 : 0;
  }
  acme::HttpResponse refuse_transport(int status, std::string_view detail) override {
    acme::HttpResponse out;
    out.status = status;
    out.body = std::string(detail);
    return out;
  }
  std::atomic<int> handled{0};
  std::size_t big = 0;
  std::shared_ptr<const std::string> shared;
};

class PlainHttpTest : public testing::Test {
 protected:
  PlainHttpTest() {
    options_.listen = "127.0.0.1:0";
    options_.plain = true;
    options_.connections_max = 8;
  }
  void start() {
    auto started = HttpsServer::start(options_, echo_);
    ASSERT_TRUE(started) << started.error().what;
    server_ = std::move(*started);
  }
  Client client(const std::string& source = "127.0.0.1") {
    return Client(server_->port(), {.source = source, .plain = true});
  }
  void expect_refused(const std::string& octets, int status, const std::string& detail) {
    const int before = echo_.handled;
    auto asker = client();
    ASSERT_TRUE(asker.send(octets));
    const auto response = asker.receive();
    EXPECT_EQ(response.status, status) << response.head;
    EXPECT_THAT(response.body, HasSubstr(detail));
    EXPECT_TRUE(asker.is_closed_by_peer());
    EXPECT_EQ(echo_.handled, before);
  }
  HttpsOptions options_;
  Echo echo_;
  std::unique_ptr<HttpsServer> server_;
};

TEST_F(PlainHttpTest, Get_AnyHost_AnsweredAndKeptOpen) {
  start();
  auto asker = client();
  for (const auto* host : {"ca.example", "other.example:99", "[::1]"}) {
    ASSERT_TRUE(asker.send("GET /crl HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"));
    const auto response = asker.receive();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "saw GET /crl of " + std::string(host) + " 0");
    EXPECT_FALSE(response.has("Connection: close"));
  }
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(PlainHttpTest, Http10_WithAndWithoutHost_AnsweredAndClosed) {
  start();
  for (const auto* host : {"Host: ca.example\r\n", ""}) {
    auto asker = client();
    ASSERT_TRUE(asker.send("POST /ocsp HTTP/1.0\r\n" + std::string(host) +
                           "Content-Type: application/ocsp-request\r\nConnection: keep-alive\r\n"
                           "Content-Length: 3\r\n\r\nabc"));
    const auto response = asker.receive();
    EXPECT_EQ(response.status, 200) << response.head;
    EXPECT_THAT(response.body, HasSubstr("saw POST /ocsp"));
    EXPECT_TRUE(response.has("Connection: close\r\n"));
    EXPECT_TRUE(asker.is_closed_by_peer());
  }
}

TEST_F(PlainHttpTest, IfNoneMatch_NotModified_HasNoBodyAndNoLength) {
  start();
  auto asker = client();
  ASSERT_TRUE(asker.send("GET /crl HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"1\"\r\n\r\n"));
  const auto response = asker.receive();
  EXPECT_EQ(response.status, 304);
  EXPECT_TRUE(response.has("304 Not Modified\r\n"));
  EXPECT_FALSE(response.has("Content-Length"));
  ASSERT_TRUE(asker.send("GET /crl HTTP/1.1\r\nHost: a\r\n\r\n"));  // nothing was left on the line
  EXPECT_EQ(asker.receive().status, 200);
}

TEST_F(PlainHttpTest, Fences_AreThoseOfHttps) {
  start();
  expect_refused("GET /crl HTTP/1.1\r\n\r\n", 400, "");
  expect_refused("GET /crl HTTP/1.1\r\nX: y\r\n\r\n", 400, "Host header is missing");
  expect_refused("GET /crl HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "repeated");
  expect_refused("POST /o HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n", 413, "larger");
  expect_refused("POST /o HTTP/1.1\r\nHost: a\r\n\r\n", 411, "Content-Length");
  expect_refused("POST /o HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 411, "");
  expect_refused("GET /crl HTTP/2.0\r\nHost: a\r\n\r\n", 400, "");
  expect_refused("GET /crl HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400, "");
}

TEST_F(PlainHttpTest, HeaderAndIdle_LateOnes_AreCutAndTheirPlacesFree) {
  options_.header_ms = 300;
  options_.idle_ms = 100;
  start();
  auto silent = client();
  auto dripping = client();
  ASSERT_TRUE(dripping.send("GET /crl HT"));
  EXPECT_TRUE(silent.is_closed_by_peer());
  EXPECT_TRUE(dripping.is_closed_by_peer());
  const auto until = Deadline::after_ms(10'000);
  while (server_->connections() != 0 && !until.passed())
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(server_->connections(), 0u);
  EXPECT_EQ(echo_.handled, 0);
}

TEST_F(PlainHttpTest, Connections_OfOneAddress_HaveTheirShare) {
  options_.connections_per_address_max = 2;
  options_.busy_wait_ms = 60'000;
  start();
  auto first = client("127.0.0.2"), second = client("127.0.0.2");
  for (auto* each : {&first, &second}) {
    ASSERT_TRUE(each->send("GET /crl HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_EQ(each->receive().status, 200);
  }
  auto third = client("127.0.0.2");
  EXPECT_TRUE(third.is_closed_by_peer());
  EXPECT_EQ(server_->turned().address_full, 1u);
  auto other = client("127.0.0.3");
  ASSERT_TRUE(other.send("GET /crl HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(other.receive().status, 200);
}

TEST_F(PlainHttpTest, Requests_FasterThanTheAddressMay_AreMadeToWait) {
  options_.requests_per_address_s = 4;
  start();
  auto asker = client();
  for (int i = 0; i < 10; ++i) {  // beyond two seconds' worth at once
    ASSERT_TRUE(asker.send("GET /crl HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_EQ(asker.receive().status, 200);
  }
  EXPECT_GT(server_->turned().paced, 0u);
}

TEST_F(PlainHttpTest, LargeAnswer_SlowReader_HasTimeForItsSize) {
  echo_.big = 24u << 20;  // beyond what the socket's buffers take
  options_.response_ms = 400;
  options_.response_bytes_per_s = 1u << 20;
  start();
  auto asker = client();
  ASSERT_TRUE(asker.send("GET /crl HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::this_thread::sleep_for(std::chrono::milliseconds(1'200));  // three times response_ms unread
  EXPECT_EQ(asker.receive().body.size(), echo_.big);
}

TEST_F(PlainHttpTest, SharedBody_Whole_WithoutACopyForEachReader) {
  echo_.shared = std::make_shared<const std::string>(3u << 20, 'y');
  start();
  std::vector<std::unique_ptr<Client>> readers;
  for (int i = 0; i < 4; ++i) {
    readers.push_back(std::make_unique<Client>(
        server_->port(), ClientOptions{.source = "127.0.0.1", .plain = true}));
    ASSERT_TRUE(readers.back()->send("GET /crl HTTP/1.1\r\nHost: a\r\n\r\n"));
  }
  for (auto& reader : readers) EXPECT_EQ(reader->receive().body, *echo_.shared);
  auto asker = client();
  ASSERT_TRUE(
      asker.send("HEAD /crl HTTP/1.1\r\nHost: a\r\n\r\nGET /crl HTTP/1.1\r\nHost: a\r\n"
                 "If-None-Match: \"1\"\r\n\r\n"));
  EXPECT_EQ(asker.receive(true).status, 200);
  EXPECT_EQ(asker.receive().status, 304);  // no body was left on the line
}

TEST_F(PlainHttpTest, LargeAnswer_WithoutRate_IsCutByItsDeadline) {
  echo_.big = 24u << 20;
  options_.response_ms = 400;
  start();
  auto asker = client();
  ASSERT_TRUE(asker.send("GET /crl HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::this_thread::sleep_for(std::chrono::milliseconds(1'200));
  EXPECT_LT(asker.receive().body.size(), echo_.big);
  EXPECT_TRUE(asker.is_closed_by_peer());
}

TEST_F(PlainHttpTest, Start_WithHostsOrAnIdentity_IsRefused) {
  options_.hosts = {"ca.example"};
  EXPECT_FALSE(HttpsServer::start(options_, echo_));
  options_.hosts.clear();
  start();
  EXPECT_FALSE(server_->set_identity(test::make_identity("x")));
}

TEST_F(PlainHttpTest, TlsClient_IsRefusedAndGetsNoHandshake) {
  start();
  Client tls(server_->port());
  EXPECT_FALSE(tls.connected());
  EXPECT_EQ(echo_.handled, 0);
}

TEST_F(PlainHttpTest, BesideHttps_EachItsOwn) {
  start();
  HttpsOptions with_tls;
  with_tls.listen = "127.0.0.1:0";
  with_tls.hosts = {"ca.example"};
  with_tls.connections_max = 4;
  auto https = HttpsServer::start(with_tls, echo_);
  ASSERT_TRUE(https);
  ASSERT_TRUE((*https)->set_identity(test::make_identity("x")));
  Client tls((*https)->port());
  ASSERT_TRUE(tls.send("GET /a HTTP/1.1\r\nHost: ca.example:" + std::to_string((*https)->port()) +
                       "\r\n\r\n"));
  EXPECT_EQ(tls.receive().status, 200);
  auto plain = client();
  ASSERT_TRUE(plain.send("GET /a HTTP/1.0\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(plain.receive().status, 200);
  Client old((*https)->port());  // HTTPS speaks HTTP/1.1 alone, as before
  ASSERT_TRUE(old.send("GET /a HTTP/1.0\r\nHost: ca.example:" + std::to_string((*https)->port()) +
                       "\r\n\r\n"));
  EXPECT_EQ(old.receive().status, 400);
}

}  // namespace
}  // namespace keyward::https
